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


def segments(*lengths):
    """Weighted segments of so many tokens."""
    return tuple(
        token._replace(fragment=number)
        for number, length in enumerate(lengths, start=1)
        for token in words(*[1] * length)
    )


@pytest.mark.parametrize(
    ("lengths", "line"),
    [
        ([0], ()),
        ([10], segments(5, 5)),
        ([8, 5], segments(4, 4, 5)),  # a segment that does not fit moves on
        ([10, 3], segments(5, 8)),  # but one of 8 tokens is cut where the window ends
        ([10, 10, 4], segments(24)),
        ([7, 7, 7], segments(7, 7, 7)),
        ([10, 3], words(4, 4, 5)),  # words are not kept together, as there
        ([10, 5], words(15)),
    ],
)
def test_comfy_window_lengths(lengths, line):
    assert windows("comfy", line) == lengths


def test_comfy_keeps_a_short_segment_whole_beside_an_inversion():
    """What is on either side of an inversion moves by itself."""
    line = words(*[1] * 6)
    line += tuple(token._replace(group=1) for token in words(1))
    line += tuple(token._replace(group=2) for token in words(1, 1, 1, 1))
    assert windows("comfy", line) == [7, 4]


def characters(*sizes):
    """Characters without blanks, of so many tokens each."""
    return tuple(
        Token(10 * i + n, 1.0, "日", i) for i, size in enumerate(sizes) for n in range(size)
    )


@pytest.mark.parametrize("name", ["a1111", "comfy", "sentence"])
def test_no_window_parts_a_character(name):
    assert windows(name, characters(3, 3, 3, 3, 3)) == [9, 6]
    assert windows(name, characters(*[3] * 9, 1)) == [9, 9, 10]
    assert windows(name, characters(12, 3)) == [10, 5]  # more than a window holds


def test_one_window_parts_no_character():
    cut = policy_named("truncate")([characters(3, 3, 3, 3)], 10, COMMA)
    assert [len(cut.chunks[0]), len(cut.dropped)] == [9, 3]


def typed(sentence):
    """One token a character, blanks apart."""
    return tuple(Token(1, 1.0, c, i) for i, c in enumerate(sentence) if c != " ")


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
        ([6, 5], typed("猫は箱の中。犬は外へ行")),
        ([10, 3], typed("a b c 猫、犬猫犬猫、犬猫犬")),  # the last mark
        ([8, 4], typed("猫が好きです」。犬は外へ行")[:12]),
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
