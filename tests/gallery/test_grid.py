"""The grid: every picture shown, large enough to see, whatever the prompt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcond.gallery.grid import Caption, draw_grid, enlarge


def captions(n, verdict=""):
    return [
        Caption(title=f"#{i}", detail=f"seed {i}", verdict=verdict, passed=i % 2 == 0)
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("size", "shown"), [((32, 32), 192), ((64, 64), 192), ((100, 50), 200), ((512, 512), 512)]
)
def test_pictures_are_enlarged_by_whole_factors_to_192_pixels(size, shown):
    assert min(enlarge(Image.new("RGB", size)).size) == shown


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
def test_every_picture_is_on_the_sheet(n):
    colours = [(250 - 20 * i, 10 + 20 * i, 5) for i in range(n)]
    sheet = draw_grid([Image.new("RGB", (32, 32), c) for c in colours], captions(n), "a prompt")
    present = {tuple(c) for c in np.asarray(sheet).reshape(-1, 3).tolist()}
    assert set(colours) <= present


def test_a_tick_and_a_cross_differ():
    picture = [Image.new("RGB", (32, 32))] * 2
    sheet = np.asarray(draw_grid(picture, captions(2, "as asked"), "p"), np.int16)
    left, right = sheet[-40:, 16:30], sheet[-40:, 224:238]
    green = (left[..., 1] - left[..., 0]).max()
    red = (right[..., 0] - right[..., 1]).max()
    assert green > 80
    assert red > 80


@given(st.text(max_size=300), st.text(max_size=80))
@settings(max_examples=25, deadline=None)
def test_any_text_can_be_laid_out(header, title):
    draw_grid(
        [Image.new("RGB", (8, 8))], [Caption(title=title, detail=title, verdict=title)], header
    )


def test_a_long_prompt_keeps_the_sheet_small():
    sheet = draw_grid([Image.new("RGB", (32, 32))] * 4, captions(4), "word " * 10_000)
    assert sheet.height < 400
