"""The resize on tensors against Pillow's: not a pixel differs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from clipcond import ClipScorer
from clipcond.clip import POLICIES, Preprocessing, load_picture
from clipcond.clip.images import picture_at_hand
from clipcond.clip.resize import FILTERS, resize
from clipcond.errors import ClipcondError, ScoreError

SIDES = st.integers(1, 200)


def picture(width, height, seed, smooth):
    rng = np.random.default_rng(seed)
    if smooth:
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        return coarse.resize((width, height), Image.Resampling.BICUBIC)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def differing(image, size, resample):
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    ours = resize(pixels[None], size, resample)[0].permute(1, 2, 0).numpy()
    return int((ours != np.asarray(image.resize(size, resample))).sum())


@pytest.mark.parametrize("resample", FILTERS, ids=lambda each: each.name)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99), st.booleans())
def test_any_sizes(resample, width, height, to_width, to_height, seed, smooth):
    image = picture(width, height, seed, smooth)
    assert differing(image, (to_width, to_height), resample) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((512, 512), (224, 224)),
        ((1024, 1024), (224, 224)),
        ((1023, 767), (298, 224)),
        ((941, 1333), (10, 14)),
        ((33, 57), (224, 387)),
        ((224, 400), (224, 224)),
        ((3000, 2), (224, 1)),
        ((2, 900), (3, 224)),  # so tall that columns come before rows
        ((5, 501), (3, 500)),
        ((5, 500), (3, 499)),
    ],
)
@pytest.mark.parametrize("smooth", [True, False])
def test_sizes_of_pictures(before, after, smooth):
    assert differing(picture(*before, 0, smooth), after, Image.Resampling.BICUBIC) == 0


@pytest.mark.skipif(not hasattr(Image.Resampling, "MKS2013"), reason="Pillow 13 brought it")
def test_a_filter_of_no_clip_is_named():
    with pytest.raises(
        ClipcondError, match="resample MKS2013: no filter of a CLIP's preprocessing"
    ):
        resize(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), (4, 4), Image.Resampling.MKS2013)


def test_the_same_size_is_the_same_picture():
    image = picture(20, 30, 0, smooth=False)
    assert differing(image, (20, 30), Image.Resampling.LANCZOS) == 0


PREPROCESSING = Preprocessing(
    shortest_edge=24,
    crop=(24, 24),
    resample=int(Image.Resampling.BICUBIC),
    rescale_factor=1 / 255,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("halves", ["down", "even"])
@pytest.mark.parametrize("size", [(24, 24), (64, 64), (57, 31), (31, 90), (23, 25)])
@pytest.mark.parametrize("resample", [Image.Resampling.BICUBIC, Image.Resampling.NEAREST])
def test_what_a_tower_sees_of_a_tensor_is_what_it_sees_of_the_picture(
    policy, halves, size, resample
):
    own = replace(PREPROCESSING, halves=halves, resample=int(resample)).cropping(policy)
    image = picture(*size, 0, smooth=False)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    assert torch.equal(own.views(pixels), own.views(image))


@pytest.mark.parametrize("size", [(512, 512), (1024, 683), (100, 300)])
@pytest.mark.parametrize("smooth", [True, False])
def test_fast_is_a_level_or_two_off_where_it_differs_and_says_so(size, smooth):
    exact = replace(PREPROCESSING, shortest_edge=224, crop=(224, 224))
    fast = exact.resized("fast")
    image = picture(*size, 0, smooth=smooth)
    level = 1 / 255 / torch.tensor(exact.std)[:, None, None]
    off = ((fast.views(image) - exact.views(image)) / level).abs()
    assert float(off.max()) < 2.01
    assert float((off > 0.5).float().mean()) <= 0.01
    assert float((off > 1.5).float().mean()) <= 0.0005
    assert "fast" in fast.as_dict()["resize"]
    assert "fast" not in exact.as_dict()["resize"]
    assert fast.resized("exact") == exact


@pytest.mark.parametrize("quality", [75, 100])
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}])
def test_fast_decodes_plain_jpegs_to_the_same_pixels(tmp_path, how, quality):
    file = tmp_path / "a.jpg"
    picture(301, 203, 0, smooth=True).save(file, quality=quality, **how)
    pixels = picture_at_hand(file, fast=True)
    assert isinstance(pixels, torch.Tensor)
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(load_picture(file)))


def test_fast_leaves_other_files_to_pillow(tmp_path):
    image = picture(30, 20, 0, smooth=True)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    image.save(tmp_path / "turned.jpg", exif=turned)
    image.convert("L").save(tmp_path / "grey.jpg")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    image.save(tmp_path / "other.jpg", "PNG")
    for file in tmp_path.iterdir():
        found = picture_at_hand(file, fast=True)
        assert isinstance(found, Image.Image)
        assert np.array_equal(np.asarray(found), np.asarray(load_picture(file)))
    image.save(tmp_path / "cut.jpg")
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(ScoreError, match=r"cut\.jpg: "):
        picture_at_hand(tmp_path / "cut.jpg", fast=True)


def test_a_fast_scorer_scores_files_arrays_and_tensors_alike(tmp_path):
    scorer = ClipScorer.from_pretrained("judge", resizing="fast")
    file = tmp_path / "a.png"
    picture(100, 80, 0, smooth=True).save(file)
    array = np.asarray(load_picture(file))
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    found = scorer.image_features([file, array, tensor])
    torch.testing.assert_close(found, found[:1].expand(3, -1), rtol=0, atol=1e-6)
    assert "fast" in scorer.provenance["preprocessing"]["resize"]
    exact = ClipScorer.from_pretrained("judge").image_features([file])
    assert float((found[0] * exact[0]).sum()) > 0.99


def test_ways_to_resize_are_named():
    with pytest.raises(ScoreError, match="resizing: got 'quick'; choose one of exact, fast"):
        PREPROCESSING.resized("quick")
    lanczos = replace(PREPROCESSING, resample=int(Image.Resampling.LANCZOS))
    with pytest.raises(ScoreError, match="no lanczos filter"):
        lanczos.resized("fast")
