"""Parity with transformers' own PIL processors and with torchvision's transforms, to the last bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

from clipcond.clip import Preprocessing
from clipcond.clip.checkpoints.openclip import _preprocessing
from clipcond.errors import CheckpointError, ScoreError
from tests.clip.torchvision_transform import normalised, transform

CONFIG = CLIPImageProcessorPil().to_dict()


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@given(height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_equal_to_transformers_at_any_size(height, width, seed):
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}
    )
    ours = Preprocessing.from_config(processor.to_dict(), "test")
    picture = noise(height, width, seed)
    theirs = processor([picture], return_tensors="pt")["pixel_values"]
    assert torch.equal(ours([picture]), theirs)


@pytest.mark.parametrize("size", [(512, 512), (500, 333), (224, 224), (1024, 200)])
def test_equal_to_transformers_at_clips_own_size(size):
    picture = noise(*size)
    theirs = CLIPImageProcessorPil()([picture], return_tensors="pt")["pixel_values"]
    assert (Preprocessing.from_config(CONFIG, "test")([picture]) - theirs).abs().max() == 0


def test_old_configs_with_plain_numbers_mean_the_same():
    old = {**CONFIG, "size": 224, "crop_size": 224}
    del old["rescale_factor"], old["resample"]
    assert Preprocessing.from_config(old, "old") == Preprocessing.from_config(CONFIG, "new")


@pytest.mark.parametrize(
    ("change", "quote"),
    [
        ({"do_center_crop": False}, "do_center_crop"),
        ({"do_normalize": False}, "do_normalize"),
        ({"size": {"height": 8, "width": 8}}, "shortest_edge"),
        ({"size": {"shortest_edge": 8}}, "crop"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_std": None}, "image_std"),
    ],
)
def test_configs_of_another_kind_are_refused(change, quote):
    with pytest.raises(CheckpointError, match=quote) as caught:
        Preprocessing.from_config({**CONFIG, **change}, "folder/preprocessor_config.json")
    assert "folder/preprocessor_config.json" in str(caught.value)


def test_a_strip_that_would_fill_the_memory_is_refused():
    with pytest.raises(ScoreError, match="strip of 1 x 100000"):
        Preprocessing.from_config(CONFIG, "test")([Image.new("RGB", (1, 100_000))])


@given(height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_equal_to_transformers_siglip_at_any_size(height, width, seed):
    processor = SiglipImageProcessorPil(size={"height": 48, "width": 48})
    ours = Preprocessing.from_config(processor.to_dict(), "test")
    picture = noise(height, width, seed)
    theirs = processor([picture], return_tensors="pt")["pixel_values"]
    assert torch.equal(ours([picture]), theirs)
    assert ours.policy == ours.trained == "squash"
    assert ours.as_dict()["resize"] == "both edges to 48 x 48, PIL bicubic"


def openclip(**config):
    return _preprocessing(config, 48, "test")


@given(height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_equal_to_torchvision_at_any_size(mode, height, width, seed):
    ours = openclip(
        resize_mode=mode, fill_color=7, interpolation="bilinear", mean=0.5, std=[0.2] * 3
    )
    picture = noise(height, width, seed)
    if mode == "longest" and min(height, width) * 96 < max(height, width):
        return  # open_clip asks Pillow for no pixel at all
    square = transform(picture, 48, mode=mode, filter_=Image.Resampling.BILINEAR, fill=7)
    theirs = normalised(square, (0.5,) * 3, (0.2,) * 3)
    assert np.array_equal(ours([picture])[0].numpy(), theirs)


def test_the_middle_of_every_width_is_the_originals():
    """torchvision rounds half a pixel to the even one, transformers down: of 416 widths 104 differ."""
    theirs = Preprocessing.from_config(CONFIG, "test")
    own = _preprocessing({}, 224, "test")
    differ = 0
    for width in range(225, 641):
        picture = Image.fromarray(
            np.arange(width, dtype=np.uint16)[None].repeat(224, 0).astype(np.uint8)
        )
        picture = picture.convert("RGB")
        ours, square = own([picture])[0].numpy(), transform(picture, 224)
        assert np.array_equal(ours, normalised(square, own.mean, own.std)), width
        differ += not np.array_equal(ours, theirs([picture])[0].numpy())
    assert differ == 104
    assert own.as_dict()["halves"] == "even, as torchvision"
    assert theirs.as_dict()["halves"] == "down, as transformers"


@pytest.mark.parametrize(
    ("change", "quote"),
    [
        ({"resize_mode": "stretch"}, "'stretch'"),
        ({"interpolation": "lanczos"}, "'lanczos'"),
        ({"mode": "L"}, "'L'"),
        ({"mean": [0.5, 0.5]}, r"mean \[0.5, 0.5\]"),
        ({"std": "wide"}, "std 'wide'"),
        ({"std": 0}, "std"),
        ({"fill_color": 300}, "fill_color is 300"),
    ],
)
def test_open_clips_preparation_of_another_kind_is_refused(change, quote):
    with pytest.raises(CheckpointError, match=quote):
        openclip(**change)


def test_what_open_clip_leaves_out_or_null_is_openais():
    assert openclip(mean=None, resize_mode=None) == openclip()
    assert openclip().mean == Preprocessing.from_config(CONFIG, "test").mean


@pytest.mark.parametrize("config", [CONFIG, SiglipImageProcessorPil().to_dict()])
def test_written_configs_read_the_same(config):
    read = Preprocessing.from_config(config, "test")
    assert Preprocessing.from_config(read.to_config(), "again") == read
    assert Preprocessing.from_config(read.cropping("multi").to_config(), "again") == read
