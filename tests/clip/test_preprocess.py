"""Parity with transformers' own PIL processor, to the last bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import CLIPImageProcessorPil

from clipcond.clip import Preprocessing
from clipcond.errors import CheckpointError, ScoreError

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
