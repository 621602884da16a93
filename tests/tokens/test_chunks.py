"""Chunk policies: the a1111 rules case by case, laws, and what is dropped."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError
from clipcond.tokens import POLICIES, Token, policy_named

COMMA = 7


def line(ids):
    return tuple(Token(i, 1.0, str(i), n) for n, i in enumerate(ids))


def cut(name, *lines, room=75):
    result = policy_named(name)([line(ids) for ids in lines], room, COMMA)
    return [[t.id for t in chunk] for chunk in result.chunks], [t.id for t in result.dropped]


def a1111(*lines):
    return [len(chunk) for chunk in cut("a1111", *lines)[0]]


@pytest.mark.parametrize(
    ("lengths", "lines"),
    [
        ([0], [[]]),
        ([75], [[1] * 75]),
        ([75, 1], [[1] * 76]),
        ([75, 75, 10], [[1] * 160]),
        # the last comma is 20 back: what follows moves on; 21 back: it does not
        ([56, 20], [[1] * 55 + [COMMA] + [1] * 20]),
        ([75, 1], [[1] * 54 + [COMMA] + [1] * 21]),
        ([75, 1], [[1] * 74 + [COMMA] + [1]]),
        # the comma of one window does not count for the next
        ([61, 75, 25], [[1] * 60 + [COMMA] + [1] * 100]),
        # a full window ends before a comma, which then opens the next
        ([75, 1], [[1] * 60 + [COMMA] + [1] * 14 + [COMMA]]),
        # two windows, each with its own commas
        ([65, 71, 15], [[1] * 64 + [COMMA] + [1] * 70 + [COMMA] + [1] * 15]),
        # breaks end windows, empty ones too, but a last empty line adds none
        ([2, 3], [[1, 1], [1, 1, 1]]),
        ([0, 1], [[], [1]]),
        ([1], [[1], []]),
        ([1, 0, 1], [[1], [], [1]]),
        ([0], [[], []]),
        # a comma before a break is forgotten by the next window
        ([61, 75, 1], [[1] * 60 + [COMMA], [1] * 76]),
    ],
)
def test_a1111_window_lengths(lengths, lines):
    assert a1111(*lines) == lengths


@given(st.lists(st.lists(st.sampled_from([1, 2, COMMA]), max_size=200), min_size=1, max_size=4))
def test_a1111_keeps_every_token_in_order(lines):
    chunks, dropped = cut("a1111", *lines)
    assert dropped == []
    assert list(chain(*chunks)) == list(chain(*lines))
    assert all(len(chunk) <= 75 for chunk in chunks)
    # windows are filled: none but a line's last is more than the backtrack short of full
    if len(lines) == 1:
        assert all(len(chunk) >= 56 for chunk in chunks[:-1])


@pytest.mark.parametrize("name", ["truncate", "error"])
def test_one_window_and_the_rest_dropped(name):
    assert cut(name, [1, 2, 3], room=3) == ([[1, 2, 3]], [])
    assert cut(name, [1, 2, 3, 4], [5], room=3) == ([[1, 2, 3]], [4, 5])
    assert cut(name, [1], [2], room=3) == ([[1, 2]], [])


def test_unknown_policy_names_the_known():
    with pytest.raises(
        ClipcondError, match="no long_prompt policy 'cut'; there are a1111, truncate, error"
    ):
        policy_named("cut")
    assert list(POLICIES) == ["a1111", "truncate", "error"]
