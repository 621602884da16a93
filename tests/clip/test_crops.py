"""What becomes of pictures that are not square, under each policy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcond.clip import POLICIES, load_clip
from clipcond.errors import ScoreError
from tests.tiny import save_tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def clips(folder):
    return {policy: load_clip(folder, crop=policy) for policy in POLICIES}


def noise(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels_of(view, preprocessing):
    """Back to bytes."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    return ((view * std + mean) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [(32, 32), (90, 90), (7, 7)])
def test_a_square_picture_is_the_same_under_every_policy(clips, policy, size):
    picture = noise(*size)
    assert torch.equal(
        clips[policy].encode_pictures([picture]), clips["center"].encode_pictures([picture])
    )


@given(width=st.integers(1, 200), height=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_pad_shows_the_whole_picture_in_the_middle(clips, width, height):
    preprocessing = clips["pad"].preprocessing
    view = preprocessing.views(Image.new("RGB", (width, height), (255, 0, 0)))
    assert view.shape == (1, 3, 32, 32)
    shown = pixels_of(view[0], preprocessing)
    red = (shown == (255, 0, 0)).all(axis=-1)
    filling = (shown == (123, 117, 104)).all(axis=-1)  # CLIP's mean colour
    assert (red | filling).all()
    rows, columns = red.any(axis=1).sum(), red.any(axis=0).sum()
    assert max(rows, columns) == 32
    assert min(rows, columns) == max(1, round(32 * min(width, height) / max(width, height)))
    assert abs(red[:, ::-1].sum(axis=0) - red.sum(axis=0)).sum() <= 2 * 32  # centred to a pixel
    assert abs(view[0][:, torch.from_numpy(filling)]).max() < 0.01 if filling.any() else True


@pytest.mark.parametrize(
    ("size", "count"), [((64, 36), 2), ((36, 64), 2), ((64, 32), 2), ((84, 36), 3), ((160, 32), 5)]
)
def test_multi_covers_the_picture_with_squares(clips, size, count):
    preprocessing = clips["multi"].preprocessing
    picture = noise(*size)
    views = preprocessing.views(picture)
    assert len(views) == count
    scale = 32 / min(size)
    resized = picture.resize(tuple(int(scale * s) for s in size), Image.Resampling.BICUBIC)
    whole = np.asarray(resized)
    along_x = size[0] > size[1]
    first, last = (pixels_of(views[i], preprocessing) for i in (0, -1))
    assert np.array_equal(first, whole[:32, :32])
    assert np.array_equal(last, whole[:, -32:] if along_x else whole[-32:])


def test_multi_features_are_the_mean_of_the_views_unit_features(clips):
    wide, square = noise(84, 36), noise(40, 40, seed=1)
    multi, center = clips["multi"], clips["center"]
    together = multi.encode_pictures([wide, square])
    assert together.shape == (2, 32)
    views = multi.preprocessing.views(wide)
    with torch.no_grad():
        each = center.model.get_image_features(pixel_values=views).pooler_output
    assert torch.allclose(together[0], F.normalize(each, dim=-1).mean(dim=0), atol=1e-6)
    assert torch.allclose(together[1], center.encode_pictures([square])[0], atol=1e-6)


def test_multi_sees_what_center_cuts_off(clips):
    plain = Image.new("RGB", (96, 32))
    marked = plain.copy()
    marked.paste((255, 0, 0), (0, 0, 20, 32))
    for policy, differs in (("center", False), ("squash", True), ("pad", True), ("multi", True)):
        one, other = clips[policy].encode_pictures([plain, marked])
        assert (not torch.allclose(one, other, atol=1e-4)) == differs


def test_no_more_views_a_forward_than_pictures(clips, monkeypatch):
    multi = clips["multi"]
    sizes = []
    forward = multi.model.get_image_features

    def counted(pixel_values):
        sizes.append(len(pixel_values))
        return forward(pixel_values=pixel_values)

    monkeypatch.setattr(multi.model, "get_image_features", counted)
    multi.encode_pictures([noise(160, 32)] * 2)
    assert sizes == [2] * 5


def test_strips_are_refused(clips):
    with pytest.raises(ScoreError, match="strip of 3200 x 32, which takes 100 squares"):
        clips["multi"].encode_pictures([noise(3200, 32)])
    clips["pad"].encode_pictures([noise(3200, 32)])


def test_unknown_policies_are_named(folder):
    with pytest.raises(
        ScoreError, match=r"crop: got 'stretch'; choose one of center, squash, pad, multi"
    ):
        load_clip(folder, crop="stretch")


def test_the_description_names_the_policy(clips):
    described = {clip.preprocessing.describe() for clip in clips.values()}
    assert len(described) == 4
    assert (
        "shortest edge to 32, PIL bicubic; center 32 x 32"
        in clips["center"].preprocessing.describe()
    )
    assert clips["pad"].preprocessing.as_dict()["resize"].startswith("longest edge to 32")
    assert clips["multi"].preprocessing.as_dict()["crop"] == "multi 32 x 32"
    assert clips["squash"].preprocessing.as_dict()["crop"] == "squash 32 x 32"


def test_squash_is_the_whole_picture_resized(clips):
    preprocessing = clips["squash"].preprocessing
    picture = noise(90, 40)
    whole = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(pixels_of(preprocessing.views(picture)[0], preprocessing), whole)
