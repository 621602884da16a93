"""What was drawn in a visit: bounded, and with what differs named."""

from dataclasses import replace

import pytest
from PIL import Image

from clipcond.errors import ClipcondError
from demos import visit
from demos.settings import Settings
from demos.studio import draw

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def drawn(studio):
    return draw(studio, Settings(prompt="a fox", candidates=1, steps=1), lambda _: None)


def like(drawn, side=32, **changes):
    """The same drawing by other settings, with a picture of another size."""
    generation = replace(drawn.generation, images=(Image.new("RGB", (side, side)),))
    return replace(drawn, settings=replace(drawn.settings, **changes), generation=generation)


def test_the_newest_come_first_and_the_same_settings_once(drawn):
    history = ()
    for seed in (1, 2, 1):
        history = visit.remembered(history, like(drawn, seed=seed))
    assert [each.settings.seed for each in history] == [1, 2]


def test_it_is_bounded_in_number_and_memory(drawn):
    history = ()
    for seed in range(20):
        history = visit.remembered(history, like(drawn, seed=seed))
    assert [each.settings.seed for each in history] == list(range(19, 7, -1))
    history = visit.remembered(history, like(drawn, side=3990, seed=50))
    assert len(history) == 12
    history = visit.remembered(history, like(drawn, side=300, seed=51))
    assert [each.settings.seed for each in history] == [51]
    history = visit.remembered(history, like(drawn, side=5000, seed=52))
    assert [each.settings.seed for each in history] == [52]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Drawn with what is set now."),
        ({"steps": 5}, "One thing differs from what is set now: steps 1."),
        ({"prompt": "a cat"}, "One thing differs from what is set now: prompt."),
        (
            {"seed": 3, "guidance": 4.5},
            "2 things differ from what is set now: guidance 3.0, seed 0.",
        ),
    ],
)
def test_what_differs_is_named(drawn, changes, says):
    now = visit.Asked(replace(drawn.settings, **changes))
    assert visit.told(visit.Asked.of(drawn), now) == says


def test_each_says_what_it_changed(drawn):
    first, second = like(drawn), like(drawn, steps=7, prompt=HOSTILE)
    html = visit.strip((second, first), first)
    assert "prompt, steps 7" in html
    assert html.count('aria-pressed="true"') == 1
    assert html.index('aria-pressed="true"') > html.index('data-rank="1"')
    assert "<img src=x" not in html
    assert visit.strip((), None) == ""


@pytest.mark.parametrize("rank", [-1, 2, "0", None])
def test_a_drawing_that_is_not_there(drawn, rank):
    with pytest.raises(ClipcondError, match="drawing: got"):
        visit.at((drawn, drawn), rank)
