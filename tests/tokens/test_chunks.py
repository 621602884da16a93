"""Chunk policies: the a1111 rules case by case, laws, and what is dropped."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError
from clipcond.tokens import POLICIES, Token, policy_named

COMMA = 7


def line(ids):
    return tuple(Token(i, 1.0, str(i), 10 * n) for n, i in enumerate(ids))


def words(*lengths):
    """Words of so many one-character tokens, a blank between them; ids count on."""
    tokens, start = [], 0
    for length in lengths:
        tokens += [Token(len(tokens) + i, 1.0, "x", start + i) for i in range(length)]
        start += length + 1
    return tuple(tokens)


def windows(name, *lines, room=10):
    cut = policy_named(name)(list(lines), room, COMMA)
    assert cut.dropped == ()
    assert [t for chunk in cut.chunks for t in chunk] == [t for line in lines for t in line]
    return [len(chunk) for chunk in cut.chunks]


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
        ClipcondError,
        match="no long_prompt policy 'cut'; there are a1111, comfy, sentence, truncate, error",
    ):
        policy_named("cut")
    assert list(POLICIES) == ["a1111", "comfy", "sentence", "truncate", "error"]


@pytest.mark.parametrize(
    ("lengths", "line"),
    [
        ([0], ()),
        ([10], words(5, 5)),
        ([8, 5], words(4, 4, 5)),  # a word that does not fit moves on
        ([10, 3], words(5, 8)),  # but one of 8 tokens is cut where the window ends
        ([10, 10, 4], words(24)),
        ([7, 7, 7], words(7, 7, 7)),
    ],
)
def test_comfy_window_lengths(lengths, line):
    assert windows("comfy", line) == lengths


def text(sentence):
    """One token a word or mark."""
    tokens, at = [], 0
    for word in sentence.split(" "):
        for part in (word[:-1], word[-1]) if word[-1] in ",.;" else (word,):
            tokens.append(Token(1, 1.0, part, at))
            at += len(part)
        at += 1
    return tuple(tokens)


@pytest.mark.parametrize(
    ("lengths", "line"),
    [
        ([7, 6], text("a b c d e f. g h i, j k")),  # the end of a sentence before a later comma
        ([8, 4], text("a b c d e f g, h i j k")),
        ([10, 2], text("a. b c d e f g h i j k")),  # a pause in the first half is none: at a word
        ([8, 4], words(1, 1, 1, 1, 1, 1, 1, 1, 4)),
        ([10, 5], words(15)),
    ],
)
def test_sentence_window_lengths(lengths, line):
    assert windows("sentence", line) == lengths


@pytest.mark.parametrize("name", ["comfy", "sentence"])
def test_a_break_ends_a_window_and_a_last_one_adds_none(name):
    assert windows(name, words(1, 1), words(2)) == [2, 2]
    assert windows(name, words(1), ()) == [1]
    assert windows(name, (), words(1)) == [0, 1]


@pytest.mark.parametrize("name", ["comfy", "sentence"])
@given(st.lists(st.lists(st.integers(1, 12), max_size=20), min_size=1, max_size=3))
def test_nothing_is_lost_and_nothing_too_long(name, lines):
    assert max(windows(name, *(words(*lengths) for lengths in lines))) <= 10
