"""A schedule as a time line, and the pictures that it mixes."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from clipcond.errors import ClipcondError, PromptSyntaxError
from demos import steps, timeline
from demos.settings import Settings
from demos.stream import Stopped, Switches
from demos.studio import draw, draw_each
from demos.timeline import Timeline

HOSTILE = "[<img src=x onerror=alert(1)>:b:0.5]"


def pixels(image):
    return np.asarray(image, int)


def test_a_line_says_each_text_once_and_when():
    line = timeline.timeline("a [fox:pumpkin:0.3] by [day|night]", 10)
    assert line.texts == (
        "a fox by day",
        "a fox by night",
        "a pumpkin by night",
        "a pumpkin by day",
    )
    assert line.order == (0, 1, 0, 2, 3, 2, 3, 2, 3, 2)
    assert list(timeline.timeline("[a:b:0.5]", 10).stretches()) == [(1, 5, 0), (6, 10, 1)]
    assert timeline.timeline("a fox", 3) == Timeline(texts=("a fox",), order=(0, 0, 0))


def test_blocks_are_as_wide_as_they_last():
    html = timeline.announced("[a fox:a pumpkin:0.3]", 20)
    assert re.findall(r"flex:(\d+)", html) == ["6", "14"]
    assert re.search(r'aria-label="time line; steps 1.6: a fox; steps 7.20: a pumpkin"', html)
    assert "6 of 20 steps" in html
    assert "nothing" in timeline.announced("[:a fox:0.5]", 2)


def test_composed_prompts_have_a_line_too():
    assert timeline.timeline("[a fox::0.5] AND a cat", 2).texts == ("a fox AND a cat", " AND a cat")


def test_what_looks_like_a_mistake_is_pointed_at(studio):
    html = steps._line(studio, "[a fox:a pumpkin:0.5", 20)
    assert "never closed" in html
    assert "<pre>  [a fox" in html
    assert "^" in html
    assert steps._line(studio, "  ", 20) == ""


def test_what_cannot_be_shown_is_said_in_its_place(studio):
    many = "[a|b|c] [d|e|f|g]"
    assert "says 12 different things" in steps._line(studio, many, 20)
    with pytest.raises(ClipcondError, match="12 different things"):
        list(steps.mixed(studio, Switches(), Settings(prompt=many), "me"))
    assert "whole number" in steps._line(studio, "a fox", None)
    overflow = f"[(a fox:{'9' * 400}):b:0.5]"
    with pytest.raises(PromptSyntaxError, match="\\^"):
        timeline.timeline(overflow, 20)
    assert "^" in steps._line(studio, overflow, 20)


def test_no_markup_comes_through(studio):
    line = timeline.timeline(HOSTILE, 4)
    for html in (
        steps._line(studio, HOSTILE, 4),
        steps._line(studio, f"({HOSTILE}", 4),
        timeline.unfinished(line, ()),
    ):
        assert "<img src=x" not in html


def test_a_mixture_is_none_of_its_texts_and_a_constant_is_its_text(studio):
    settings = Settings(prompt="[a fox:a red heart:0.5] and a cat", steps=4)
    seen = []
    mixture = timeline.mix(studio, settings, seen.append)
    assert [round(step.done, 2) for step in seen] == [0.25, 0.5, 0.75, 1.0]
    pictures = [mixture.whole, *mixture.alone]
    assert all((pixels(a) != pixels(b)).any() for a, b in pairwise([*pictures, mixture.whole]))
    assert timeline.mix(studio, settings, lambda _: None).whole.tobytes() == mixture.whole.tobytes()
    constant = timeline.mix(studio, Settings(prompt="a [fox:fox:0.5]", steps=2), lambda _: None)
    assert abs(pixels(constant.whole) - pixels(constant.alone[0])).max() <= 1


def test_the_page_tells_what_is_mixed(studio):
    last = list(
        steps.mixed(studio, Switches(), Settings(prompt="[a fox:two cats:0.5]", steps=2), "me")
    )[-1]
    status, html = last
    assert "2 texts in 2 steps" in status
    assert html.count("<img") == 3
    assert "drawn of “two cats” alone" in html
    assert "The oracle finds" in html
    assert html.count("aria-label=") == 2  # found or not found, in words


def test_stopping_leaves_nothing_attached(studio):
    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        timeline.mix(studio, Settings(prompt="[a fox:a cat:0.5]", steps=2), stop)
    assert draw(studio, Settings(prompt="a fox", candidates=1, steps=1), lambda _: None).generation


def test_batches_change_nothing(studio):
    def drawn(size):
        return draw_each(
            replace(studio, batch_size=size),
            ["[a fox:a cat:0.5]", "a fox", "[a|b]"],
            [1, 1, 2],
            Settings(prompt="x", steps=2),
            conditioner=studio.conditioner,
        )

    for one, other in zip(drawn(8), drawn(2), strict=True):
        assert abs(pixels(one) - pixels(other)).max() <= 1
