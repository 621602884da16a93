"""A caption composed exactly: the oracle agrees."""

import pytest

from clipcond import emoji
from clipcond.errors import ClipcondError
from demos.scene import compose, read_back


@pytest.mark.parametrize(
    "text",
    [
        "a fox left of a red heart on a mint background",
        "three small penguins on a cyan background",
        "a cat above a blue square",
        "two red hearts and a frog",
        "a fox at the bottom left, a pig and no red heart",
        *[prompts[0] for prompts in emoji.tasks().values()],
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_composed_is_read_back(text, seed):
    picture = emoji.render(compose(text, seed), 64)
    reading, verdict = read_back(picture, text)
    assert verdict, verdict.missed
    assert reading.clean


def test_another_seed_is_another_arrangement():
    assert compose("two cats", 0) != compose("two cats", 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a unicorn", "does not understand"),
        ("4 cats and 4 dogs and 4 foxes", "12 things"),
        ("4 large cats and 4 large dogs", "no room"),
        ("a cat left of a dog left of a cat", "two|no room|understand"),
    ],
)
def test_what_cannot_be_is_said(text, says):
    with pytest.raises(ClipcondError, match=says):
        compose(text)
