"""The stream is a pure function of seed and place: every row once an epoch, crops of their size, captions evenly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcond.clip import load_clip
from clipcond.clip.images import load_picture
from clipcond.clip.training.rows import Columns
from clipcond.clip.training.sources import open_source
from clipcond.clip.training.stream import Broken, Preparation, Sample, Stream, chances_at, crop_box
from clipcond.errors import ClipcondError
from tests.clip.tiny_kinds import save_siglip, unigram
from tests.clip.training.pictures import encoded, picture, write_folder, write_jsonl
from tests.tiny import save_tiny_clip

COUNT = 7


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_clip(save_tiny_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return open_source(write_folder(tmp_path_factory.mktemp("data"), COUNT), Columns())


@pytest.fixture
def stream(source, clip):
    return Stream(source, np.arange(COUNT), Preparation.of(clip, crop=0.5), 0)


class Numbers:
    """Rows without pictures, for laws of their order."""

    notes: tuple[str, ...] = ()

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def name(self, row: int) -> str:
        return str(row)

    key = name

    def picture(self, row: int) -> bytes:
        raise NotImplementedError

    def captions(self, row: int) -> tuple[str, ...]:
        raise NotImplementedError

    def label(self, row: int) -> None:
        return None


@given(count=st.integers(1, 300), epoch=st.integers(0, 10**6), seed=st.integers(0, 2**62))
@settings(max_examples=50, deadline=None)
def test_every_row_once_an_epoch(clip, count, epoch, seed):
    rows = np.arange(count) * 3 + 1
    made = Stream(Numbers(3 * count + 1), rows, Preparation.of(clip, crop=1), seed)
    places = range(epoch * count, (epoch + 1) * count)
    assert sorted(made.row(place) for place in places) == rows.tolist()
    # in whatever order it is asked
    other = Stream(Numbers(3 * count + 1), rows, Preparation.of(clip, crop=1), seed)
    backwards = [other.row(place) for place in reversed(places)]
    assert backwards[::-1] == [made.row(place) for place in places]


def test_epochs_and_seeds_have_orders_of_their_own(clip):
    def order(seed, epoch):
        made = Stream(Numbers(50), np.arange(50), Preparation.of(clip, crop=1), seed)
        return tuple(made.row(epoch * 50 + at) for at in range(50))

    assert len({order(seed, epoch) for seed in range(3) for epoch in range(4)}) == 12


def test_captions_are_chosen_evenly_and_anew_each_epoch(stream):
    chosen = {row: [0, 0] for row in range(COUNT)}
    words = {}
    for place in range(COUNT * 120):
        row = stream.row(place)
        captions = stream.source.captions(row)
        index = int(chances_at(stream.seed, place)[0] * 2)
        words.setdefault((row, index), captions[index])
        chosen[row][index] += 1
    assert all(35 <= first <= 85 for first, _ in chosen.values())
    ids = {stream[place].ids for place in range(COUNT * 12)}
    read = stream.preparation.reader.read(list(words.values()), stream.preparation.positions)[0]
    assert ids == {tuple(row) for row in read}


def test_chances_are_uniform():
    found = np.array([chances_at(3, place) for place in range(4000)])
    assert found.shape == (4000, 5)
    assert 0 <= found.min() <= found.max() < 1
    for column in found.T:
        counts = np.histogram(column, bins=10, range=(0, 1))[0]
        assert 320 < counts.min() <= counts.max() < 480
    assert np.abs(np.corrcoef(found.T) - np.eye(5)).max() < 0.06


share_of = st.floats(0.01, 1, exclude_min=False)
chance = st.floats(0, 1, exclude_max=True)


@given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    share=share_of,
    chances=st.tuples(chance, chance, chance, chance),
)
@settings(max_examples=300, deadline=None)
def test_a_crop_is_within_the_picture_and_keeps_its_share(size, share, chances):
    width, height = size
    left, top, right, bottom = crop_box(size, share, chances)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    across, down = right - left, bottom - top
    usable = min(width, 4 / 3 * height) * min(height, 4 / 3 * width)
    assert across * down >= share * usable * (1 - 1e-9)
    # an aspect in [3/4, 4/3], but for the pixel that is rounded up
    assert (across - 1) / down <= 4 / 3 + 1e-9
    assert (down - 1) / across <= 4 / 3 + 1e-9


def test_crops_reach_every_corner():
    boxes = [crop_box((100, 80), 0.3, chances_at(0, place)[1:]) for place in range(2000)]
    assert min(box[0] for box in boxes) == min(box[1] for box in boxes) == 0
    assert max(box[2] for box in boxes) == 100
    assert max(box[3] for box in boxes) == 80
    areas = [(right - left) * (bottom - top) / 8000 for left, top, right, bottom in boxes]
    assert min(areas) < 0.32
    assert max(areas) > 0.98


def test_without_crops_pictures_are_as_they_are_evaluated(stream, clip):
    whole = Stream(stream.source, stream.rows, replace(stream.preparation, crop=1.0), 0)
    for place in range(COUNT):
        shown = load_picture(picture(whole.row(place)))
        assert torch.equal(whole[place].pixels, clip.preprocessing([shown])[0])
        assert not torch.equal(whole[place].pixels, stream[place].pixels)


@pytest.mark.parametrize(
    ("policy", "filled"), [("center", False), ("squash", False), ("pad", True)]
)
def test_crops_are_squashed_but_where_pictures_are_read_whole(stream, clip, policy, filled):
    preparation = replace(stream.preparation, preprocessing=clip.preprocessing.cropping(policy))
    shown = Stream(stream.source, stream.rows, preparation, 0)
    # the narrowest crop of all of a picture of 100 x 200: its upper part, 100 x 133
    pixels = shown._pixels(picture(1, (100, 200)), (0.0, 0.999, 0.0, 0.0, 0.0))
    assert pixels.shape == (3, 32, 32)
    columns = (pixels.amax(1) - pixels.amin(1) < 1e-6).all(0).sum()
    assert bool(columns) == filled


def test_equal_files_and_equal_captions_have_equal_numbers(tmp_path, clip):
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        (tmp_path / f"{name}.png").write_bytes(encoded(seed))
    rows = [("a", "a fox"), ("b", "a cat"), ("c", "A  FOX"), ("a", "a box")]
    file = write_jsonl(tmp_path, [{"image": f"{n}.png", "caption": text} for n, text in rows])
    made = Stream(open_source(file, Columns()), np.arange(4), Preparation.of(clip, crop=0.9), 0)
    found = {made.row(place): made[place] for place in range(4)}
    assert found[0].picture == found[1].picture == found[3].picture != found[2].picture
    assert found[0].caption == found[2].caption
    assert len({found[row].caption for row in (0, 1, 3)}) == 3
    assert all(0 <= each.picture < 2**63 and 0 <= each.caption < 2**63 for each in found.values())


def test_captions_that_lose_their_end_say_so(tmp_path, clip):
    (tmp_path / "0.png").write_bytes(encoded(0))
    rows = [{"image": "0.png", "caption": text} for text in ("a fox", "a fox " * 60)]
    made = Stream(
        open_source(write_jsonl(tmp_path, rows), Columns()),
        np.arange(2),
        Preparation.of(clip, crop=1),
        0,
    )
    found = {made.row(place): made[place] for place in range(2)}
    assert [found[0].cut, found[1].cut] == [False, True]
    assert len(found[1].ids) == clip.positions
    assert found[1].ids[found[1].end] == clip.reader.end


def test_what_siglip_reads_is_filled_to_the_end(tmp_path, source):
    siglip = load_clip(save_siglip(tmp_path / "siglip", unigram())[0])
    preparation = Preparation.of(siglip, crop=0.9)
    sample = Stream(source, np.arange(COUNT), preparation, 0)[0]
    assert sample.end == siglip.positions - 1
    assert preparation.length(len(sample.ids)) == siglip.positions


def test_pictures_that_training_meets(tmp_path, clip):
    jpeg = encoded(0, (300, 200), "JPEG")
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x08\x02\0\0\0"  # 50,000 x 50,000
    content = {
        "cmyk.jpg": encoded(0, (64, 64), "JPEG", "CMYK"),
        "grey.png": encoded(0, (64, 64), "PNG", "L"),
        "palette.gif": encoded(0, (64, 64), "GIF", "P"),
        "strip.png": encoded(0, (3000, 1)),
        "dot.png": encoded(0, (1, 1)),
        "x-cut.jpg": jpeg[: len(jpeg) // 2],
        "x-empty.jpg": b"",
        "x-text.png": b"<html>404</html>",
        "x-bomb.png": bomb + b"\0" * 100,
    }
    for name, each in content.items():
        (tmp_path / name).write_bytes(each)
        (tmp_path / name).with_suffix(".txt").write_text("a fox")
    (tmp_path / "x-blank.png").write_bytes(encoded(0))
    (tmp_path / "x-blank.txt").write_text(" \n\n")
    source = open_source(tmp_path, Columns())
    for crop in (0.5, 1):
        made = Stream(source, np.arange(len(source)), Preparation.of(clip, crop=crop), 0)
        for place in range(2 * len(source)):
            name, found = source.name(made.row(place)), made[place]
            assert isinstance(found, Broken if name.startswith("x") else Sample), name
            if isinstance(found, Broken):
                assert found.name == name
                assert found.row == made.row(place)
                assert found.reason
                assert not found.reason.startswith(name)
                assert "\n" not in found.reason
            else:
                assert torch.isfinite(found.pixels).all()


@pytest.mark.parametrize("crop", [0, -1, 1.1, float("nan")])
def test_crops_that_are_no_share(clip, crop):
    with pytest.raises(ClipcondError, match="crop: got"):
        Preparation.of(clip, crop=crop)


def test_a_stream_of_nothing(source, clip):
    with pytest.raises(ClipcondError, match="no row to train on"):
        Stream(source, np.arange(0), Preparation.of(clip, crop=1), 0)
