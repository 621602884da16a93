import math
from fractions import Fraction

import pytest
import torch
from diffusers.image_processor import IPAdapterMaskProcessor
from diffusers.models.downsampling import Downsample2D
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError
from clipcond.hooks.blending import grid_of

SIDE = st.integers(1, 300)
SHRINKING = st.fractions(1, 40, max_denominator=60)


@given(height=SIDE, width=SIDE, by=SHRINKING)
def test_every_grid_that_a_picture_shrinks_to_is_found(height, width, by):
    grid = math.ceil(height / by), math.ceil(width / by)
    assert grid_of(grid[0] * grid[1], height, width) == grid


@given(tokens=st.integers(1, 2000), height=SIDE, width=SIDE)
def test_what_is_found_is_what_a_picture_shrinks_to(tokens, height, width):
    try:
        rows, columns = grid_of(tokens, height, width)
    except ClipcondError:
        return
    by = max(Fraction(height, rows), Fraction(width, columns))
    assert (math.ceil(height / by), math.ceil(width / by)) == (rows, columns)
    assert rows * columns == tokens


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (512, 512), (512, 768), (768, 512), (1024, 1360), (1360, 1024), (1024, 1024), (520, 1048), (1048, 520),
        (904, 904), (8, 8), (64, 2048), (2048, 64), (600, 888), (1336, 1336), (328, 1000),
    ],
)  # fmt: skip
def test_the_levels_of_a_unet(height, width):
    """The strided convolutions of a UNet, on a latent of an eighth, and what attends on each level."""
    shrink = Downsample2D(1, use_conv=True, padding=1)
    latent = torch.zeros(1, 1, height // 8, width // 8)
    for _ in range(4):
        grid = tuple(latent.shape[-2:])
        assert grid_of(latent.numel(), height, width) == grid
        assert grid_of(latent.numel(), height // 8, width // 8) == grid
        latent = shrink(latent)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (512, 768), (1024, 1536)])
def test_diffusers_own_masks_have_the_same_grid_where_all_sides_divide(height, width):
    rows, columns = grid_of(height * width // 256, height, width)
    mask = torch.zeros(1, height, width)
    mask[:, : height // 2, : width // 4] = 1
    theirs = IPAdapterMaskProcessor.downsample(mask, 1, rows * columns, 1).view(rows, columns)
    expected = torch.zeros(rows, columns)
    expected[: rows // 2, : columns // 4] = 1
    assert torch.equal(theirs.round(), expected)


@pytest.mark.parametrize(
    ("tokens", "height", "width"),
    [(77, 512, 512), (12, 512, 512), (4096, 512, 768), (0, 512, 512), (13 * 16, 512, 768), (2, 8, 8)],
)  # fmt: skip
def test_what_is_no_grid_of_the_picture(tokens, height, width):
    with pytest.raises(
        ClipcondError, match=rf"{tokens} positions are no grid over a height of {height}"
    ):
        grid_of(tokens, height, width)
