"""rerank: a permutation, best first, stable on ties, never an order among NaNs, and the same from a stream."""

import json
import os
import subprocess
import sys
import warnings
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import clipcond
from clipcond.clip import load_picture
from clipcond.errors import HeldOutWarning, ScoreError
from clipcond.score import (
    ClipScorer,
    Mixture,
    PictureError,
    Scores,
    summarise,
)
from clipcond.score.variants import VARIANTS
from tests.score.test_measures import pictures


@dataclass(frozen=True)
class FixedScorer:
    """Says the numbers it was given: ranking is arithmetic on scores, whoever made them."""

    numbers: list[float]

    def score(self, images, prompts):
        values = torch.tensor(self.numbers, dtype=torch.float32)
        return Scores(
            values=values,
            truncated=torch.zeros(len(values), dtype=torch.bool),
            variant=VARIANTS["cosine"],
            provenance={"scorer": "fixed"},
        )


@dataclass(frozen=True)
class RedScorer:
    """The red level (or another channel's) of each picture's first pixel, so that batches may be cut anywhere."""

    sign: float = 1.0
    batch_size: int = 7
    channel: int = 0

    def score(self, images, prompts):
        values = torch.tensor(
            [self.sign * image.getpixel((0, 0))[self.channel] for image in images]
        )
        return Scores(
            values=values,
            truncated=torch.zeros(len(values), dtype=torch.bool),
            variant=VARIANTS["cosine"],
            provenance={"scorer": "red"},
        )


def images(n):
    return [Image.new("RGB", (2, 2), (i, 0, 0)) for i in range(n)]


def reds(levels):
    return [Image.new("RGB", (2, 2), (level, 0, 0)) for level in levels]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.data())
def test_order_is_a_stable_sort_of_the_best(numbers, data):
    top_k = data.draw(st.none() | st.integers(1, len(numbers)))
    pictures = images(len(numbers))
    ranking = clipcond.rerank(
        pictures, "a cat", FixedScorer([float(n) for n in numbers]), top_k=top_k
    )
    expected = sorted(range(len(numbers)), key=lambda i: (-numbers[i], i))[:top_k]
    assert list(ranking.order) == expected
    assert ranking.scores.tolist() == [numbers[i] for i in expected]
    assert [id(image) for image in ranking.images] == [id(pictures[i]) for i in expected]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_a_stream_ranks_as_a_list_does_and_seeds_break_ties(levels, data):
    top_k = data.draw(st.none() | st.integers(1, len(levels)))
    seeds = data.draw(st.permutations(range(len(levels))))
    minimum = data.draw(st.none() | st.integers(0, 6))
    options = dict(top_k=top_k, seeds=seeds, minimum=None if minimum is None else float(minimum))
    ranked = clipcond.rerank(reds(levels), "x", RedScorer(), **options)
    streamed = clipcond.rerank(iter(reds(levels)), "x", RedScorer(), **options)
    expected = sorted(range(len(levels)), key=lambda i: (-levels[i], seeds[i]))
    expected = [i for i in expected if minimum is None or levels[i] >= minimum][:top_k]
    for ranking in (ranked, streamed):
        assert list(ranking.order) == expected
        assert list(ranking.seeds) == [seeds[i] for i in expected]
        assert ranking.considered == len(levels)


def test_a_folder_is_read_by_name_and_without_our_contact_sheets(tmp_path):
    for name, level in (("b.png", 9), ("a.png", 5), ("c.PNG", 7), ("0001-grid.png", 200)):
        reds([level])[0].save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    ranking = clipcond.rerank(tmp_path, "x", RedScorer(), top_k=2)
    assert [path.name for path in ranking.images] == ["b.png", "c.PNG"]
    assert ranking.order == (1, 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScoreError, match="holds no picture"):
        clipcond.rerank(tmp_path / "empty", "x", RedScorer())


def test_a_bad_picture_is_named_by_its_place_in_the_whole(scorer):
    pictures = [*images(70), np.zeros((4, 4, 3)), *images(3)]
    for given_as in (pictures, iter(pictures)):
        with pytest.raises(ScoreError, match=r"images\[70\]: .*float64"):
            clipcond.rerank(given_as, "a cat", scorer)


def test_clip_ranks_a_generator_as_it_ranks_a_list(scorer):
    several = pictures(41)
    whole = clipcond.rerank(several, "a cat", scorer, top_k=5)
    small = ClipScorer(scorer.clip, batch_size=4)
    streamed = clipcond.rerank((p for p in several), "a cat", small, top_k=5)
    assert streamed.order == whole.order
    assert torch.allclose(streamed.scores, whole.scores, atol=1e-6)
    by_hand = scorer.score(several, "a cat").values.sort(descending=True)
    assert list(whole.order) == by_hand.indices[:5].tolist()


def test_nan_is_an_error_not_a_place():
    with pytest.raises(ScoreError, match=r"images\[1\] scored NaN \(1 of 3 did\)"):
        clipcond.rerank(images(3), "a cat", FixedScorer([0.1, float("nan"), 0.3]))
    with pytest.raises(ScoreError, match=r"images\[0\] scored -inf"):
        clipcond.rerank(images(1), "a cat", FixedScorer([float("-inf")]))


@pytest.mark.parametrize("top_k", [0, -1, 4, True])
def test_top_k_out_of_range_is_quoted(top_k):
    with pytest.raises(ScoreError, match=f"top_k: got {top_k}.*1 to 3"):
        clipcond.rerank(images(3), "a cat", FixedScorer([1.0, 2.0, 3.0]), top_k=top_k)


def test_a_generator_may_end_before_top_k():
    assert clipcond.rerank(iter(images(3)), "a cat", RedScorer(), top_k=4).order == (2, 1, 0)
    for top_k in (0, True):
        with pytest.raises(ScoreError, match=f"top_k: got {top_k}; needs an integer from 1$"):
            clipcond.rerank(iter(images(3)), "a cat", RedScorer(), top_k=top_k)


@pytest.mark.parametrize(
    ("options", "quote"),
    [
        ({"diversity": 1.5}, "diversity: got 1.5"),
        ({"diversity": 0.5}, "RedScorer has no image_features"),
        ({"seeds": [1, 2]}, "seeds: got 2 for 3 images"),
        ({"seeds": iter([1, 2])}, "seeds: got 2, fewer"),
    ],
)
def test_complaints_quote_what_came(options, quote):
    with pytest.raises(ScoreError, match=quote):
        clipcond.rerank(reds([1, 2, 3]), "x", RedScorer(), **options)


def test_a_generator_of_nothing_and_a_mixture_over_a_generator():
    with pytest.raises(ScoreError, match="the generator gave none"):
        clipcond.rerank(iter([]), "x", RedScorer())
    with pytest.raises(ScoreError, match="got a generator, but scores relative"):
        clipcond.rerank(iter(images(3)), "x", Mixture([RedScorer()]))


def test_a_mixture_adds_zs_not_scores(scorer):
    levels = [10, 40, 20, 30]
    z = torch.tensor(levels, dtype=torch.float64)
    z = (z - z.mean()) / z.std(correction=0)
    huge = FixedScorer([1e6 * v for v in (4, 1, 3, 2)])
    mixed = Mixture([RedScorer(), huge], weights=[1.0, 0.5])
    other = torch.tensor([4.0, 1, 3, 2]).double()
    expected = z + 0.5 * (other - other.mean()) / other.std(correction=0)
    assert torch.allclose(mixed.score(reds(levels), "x").values, expected.float(), atol=1e-6)
    ranking = clipcond.rerank(reds(levels), "x", mixed)
    assert list(ranking.order) == expected.argsort(descending=True).tolist()
    assert [part["weight"] for part in ranking.provenance["mixture"]] == [1.0, 0.5]


def test_a_mixtures_z_is_within_each_prompt():
    mixed = Mixture([RedScorer()])
    scores = mixed.score(reds([1, 2, 101, 102, 50]), ["a", "a", "b", "b", "c"])
    assert scores.values.tolist() == [-1, 1, -1, 1, 0]
    with pytest.raises(ScoreError, match="weights: got 2 for 1 scorers"):
        Mixture([RedScorer()], weights=[1.0, 2.0])


def test_diversity_takes_no_second_copy(scorer):
    distinct = pictures(4)
    several = [p for p in distinct for _ in range(3)]
    plain = clipcond.rerank(several, "a cat", scorer, top_k=4)
    assert len({i // 3 for i in plain.order}) < 4
    spread = clipcond.rerank(several, "a cat", scorer, top_k=4, diversity=0.7)
    assert len({i // 3 for i in spread.order}) == 4
    assert spread.order[0] == plain.order[0], "the best stays first"
    none = clipcond.rerank(several, "a cat", scorer, top_k=4, diversity=0.0)
    assert none.order == plain.order


def test_the_judge_has_no_say_and_raises_the_alarm():
    levels = [10, 20, 30, 40, 50, 60, 70, 80]
    with pytest.warns(HeldOutWarning, match=r"but -1\.\d\d to the judge"):
        against = clipcond.rerank(reds(levels), "x", RedScorer(), top_k=2, judge=RedScorer(-1.0))
    agreeing = clipcond.rerank(reds(levels), "x", RedScorer(), top_k=2, judge=RedScorer())
    assert against.order == agreeing.order == (7, 6)
    assert against.held_out.alarm
    assert not agreeing.held_out.alarm
    deviation = np.std(levels)
    assert agreeing.held_out.gain == pytest.approx((75 - 45) / deviation)
    assert against.held_out.judge_gain == pytest.approx(-(75 - 45) / deviation)
    assert against.held_out.judge_scores.tolist() == [-80, -70]
    everyone = clipcond.rerank(reds(levels), "x", RedScorer(), judge=RedScorer(-1.0))
    assert not everyone.held_out.alarm, "nothing was chosen"
    assert (everyone.held_out.gain, everyone.held_out.judge_gain) == (0, 0)


def test_over_many_prompts_the_alarm_is_an_interval():
    rng = np.random.default_rng(0)
    sets = [
        [Image.fromarray(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8)) for _ in range(12)]
        for _ in range(12)
    ]
    agreeing = [clipcond.rerank(s, "x", RedScorer(), 1, judge=RedScorer()).held_out for s in sets]
    assert not summarise(agreeing).alarm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeldOutWarning)
        deaf = RedScorer(channel=1)
        noise = [clipcond.rerank(s, "x", RedScorer(), 1, judge=deaf).held_out for s in sets]
    assert 0 < sum(found.alarm for found in noise) < 12, "on one prompt it is chance"
    with pytest.warns(HeldOutWarning, match="no gain that the judge sees"):
        assert summarise(noise).alarm
    with pytest.raises(ScoreError, match="rankings of 1 prompts"):
        summarise(agreeing[:1])


@pytest.mark.slow
def test_a_hundred_thousand_pictures_take_the_memory_of_a_thousand():
    """In a process of its own, since type checks at run time would treble its time."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.score.peak_memory", "1000", "1000", "100000"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(clipcond.__file__).parents[1],
    )
    _, small, large = (json.loads(line) for line in done.stdout.splitlines())
    assert (small["pictures"], large["pictures"]) == (1000, 100_000)
    assert large["peak"] <= small["peak"] + 10 * 100_000  # a number of each, and no picture
    assert large["resident"] <= 1.1 * small["resident"]


def test_rerank_stays_the_function_after_all_imports():
    import importlib
    import pkgutil

    for module in pkgutil.walk_packages(clipcond.__path__, "clipcond."):
        if not module.name.startswith("clipcond.emoji"):
            importlib.import_module(module.name)
    assert callable(clipcond.rerank)
    assert clipcond.rerank.__module__ == "clipcond.score.ranking"


def mixed_folder(folder):
    """Pictures at two depths, and all that lies beside pictures on real disks."""
    (folder / "b" / "c").mkdir(parents=True)
    (folder / ".thumbs").mkdir()
    (folder / "__MACOSX").mkdir()
    for name, level in (("z.png", 1), ("b/a.png", 9), ("b/c/x.jpg", 5), ("b/z.png", 3)):
        reds([level])[0].save(folder / name)
    for name in ("._z.png", "b/._a.png", "__MACOSX/._z.png"):
        (folder / name).write_bytes(b"\0\5\x16\7Mac OS X")
    reds([7])[0].save(folder / ".thumbs" / "z.png")
    reds([200])[0].save(folder / "b" / "0001-grid.png")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "loop").symlink_to(folder)
    return folder


def test_a_folder_is_searched_whole_and_says_what_it_passed_over(tmp_path):
    ranking = clipcond.rerank(mixed_folder(tmp_path), "x", RedScorer())
    names = [path.relative_to(tmp_path).as_posix() for path in ranking.images]
    assert names == ["b/a.png", "b/c/x.jpg", "b/z.png", "z.png"]
    assert ranking.order == (0, 1, 2, 3), "places in the order of paths"
    passed_over = {s.item.relative_to(tmp_path).as_posix(): s.reason for s in ranking.skipped}
    assert passed_over == {
        "._z.png": "hidden",
        ".thumbs": "hidden",
        "__MACOSX/._z.png": "hidden",
        "b/._a.png": "hidden",
        "b/0001-grid.png": "a contact sheet of clipcond generate",
        "loop": "a link to a folder",
    }
    assert not any(s.failed for s in ranking.skipped)
    assert ranking.considered == 4


def test_damaged_files_raise_or_are_skipped_by_name(tmp_path):
    folder = mixed_folder(tmp_path)
    (folder / "b" / "bad.png").write_bytes(b"no picture")
    (folder / "b" / "gone.png").symlink_to(folder / "none.png")
    os.mkfifo(folder / "pipe.png")  # opening it would wait for ever
    with pytest.raises(ScoreError, match=r"images\[1\]: .*bad.png: not a picture"):
        clipcond.rerank(folder, "x", RedScorer())
    for scorer in (RedScorer(), RedScorer(batch_size=1), Mixture([RedScorerOfFiles()])):
        ranking = clipcond.rerank(folder, "x", scorer, on_error="skip")
        failed = {s.item.name: s.reason for s in ranking.skipped if s.failed}
        assert failed.keys() == {"bad.png", "gone.png"}
        assert failed["bad.png"].startswith("not a picture")
        assert [path.name for path in ranking.images] == ["a.png", "x.jpg", "z.png", "z.png"]
    listed = [reds([3])[0], np.zeros((4, 4, 3)), reds([5])[0]]
    for images_given in (listed, iter(listed)):
        ranking = clipcond.rerank(images_given, "x", RedScorer(), on_error="skip", seeds=[7, 8, 9])
        assert (ranking.order, ranking.seeds) == ((2, 0), (9, 7))
        ((place, reason, failed),) = ranking.skipped
        assert (place, failed) == (1, True)
        assert "float64" in reason


class RedScorerOfFiles(RedScorer):
    """Opens what it gets itself, as a scorer in a mixture must."""

    def score(self, images, prompts):
        return super().score([load_picture(image) for image in images], prompts)


def test_nothing_that_can_be_scored_is_an_error_that_knows_each(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"a.png: not a picture .* \(and 1 more\)") as told:
        clipcond.rerank(tmp_path, "x", RedScorer(), on_error="skip")
    assert sorted(told.value.reasons) == [0, 1]
    with pytest.raises(ScoreError, match="on_error: got 'ignore'; choose raise or skip"):
        clipcond.rerank(tmp_path, "x", RedScorer(), on_error="ignore")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "._a.png").write_bytes(b"")
    with pytest.raises(ScoreError, match=r"holds no picture to rank, only .*\._a.png \(hidden\)"):
        clipcond.rerank(tmp_path / "deep", "x", RedScorer())


class LivePictures:
    """Loads pictures as ever, and counts those that someone still holds."""

    def __init__(self):
        self._all, self.counts = [], []

    def load(self, image):
        picture = load_picture(image)
        self._all.append(weakref.ref(picture))
        self.counts.append(sum(ref() is not None for ref in self._all))
        return picture


@pytest.mark.parametrize("top_k", [None, 3, 40])
@pytest.mark.parametrize(
    "options", [{}, {"judge": RedScorer(1.0, 4)}, {"on_error": "skip"}], ids=str
)
def test_a_folder_of_any_size_holds_one_batch_of_pictures(tmp_path, monkeypatch, top_k, options):
    for i in range(40):
        reds([i])[0].save(tmp_path / f"{i:02}.png")
    pictures = LivePictures()
    monkeypatch.setattr(clipcond.score.ranking, "load_picture", pictures.load)
    ranking = clipcond.rerank(tmp_path, "x", RedScorer(batch_size=4), top_k, **options)
    assert len(pictures.counts) == 40
    assert max(pictures.counts) <= 4
    assert ranking.images[0].name == "39.png"


def test_the_judge_says_that_it_reads_less(tmp_path, scorer):
    long = "a red cat on a blue house " * 20
    ranking = clipcond.rerank(pictures(3), long, RedScorer(), judge=scorer, top_k=1)
    assert not ranking.truncated
    assert ranking.held_out.truncated
