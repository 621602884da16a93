"""The weight syntax of AUTOMATIC1111's web UI, answered exactly as that program answers it.

What a step says, once schedules are resolved, is read here; see `clipcond.prompt.a1111` for the whole dialect.

    (text)      weight * 1.1          \\( \\) \\[ \\] \\\\   the character itself
    (text:1.3)  weight * 1.3          BREAK            ends the 75-token chunk
    [text]      weight / 1.1

What is unusual: round and square brackets are matched on separate stacks and may cross; a bracket left open
weighs everything after it; one closed without being opened is text; `:1.3)` closes the last round bracket whatever
lies between; the word BREAK inside brackets has its weight multiplied like text and so is no break any more.

Two things differ on purpose, where that program crashes or goes on with infinities: a weight that is no finite
number and nesting deeper than `MAX_DEPTH` are errors with a caret.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.hints import MAX_DEPTH, note_heavy, refuse_depth, refuse_overflow
from clipcond.prompt.tree import Diagnostic, Fragment

ROUND = 1.1
SQUARE = 1 / 1.1

# One token of the source, each alternative linear (possessive: no backtracking into a run). A run of text holds
# colons that begin no weight; a weight is `: number )`.
_WEIGHT = r":\s*([+-]?[.\d]+)\s*\)"
_TOKEN = re.compile(rf"\\[()\[\]\\]?|[(\[]|{_WEIGHT}|[)\]]|(?:[^\\()\[\]:]++|:(?!{_WEIGHT[1:]}))++")


@dataclass(slots=True, eq=False)
class _Bracket:
    """An opened bracket: where, its factor (known when it closes) and its turn in closing."""

    start: int
    factor: float
    order: int = -1


_TURN, _FACTOR = attrgetter("order"), attrgetter("factor")

# (text, base weight, start, end, the brackets open there)
_Piece = tuple[str, int, int, int, tuple[_Bracket, ...]]


@dataclass(slots=True)
class _Reader:
    """What the single pass over the text keeps; weights are multiplied out after it."""

    source: str
    pieces: list[_Piece] = field(default_factory=list)
    round: list[_Bracket] = field(default_factory=list)
    square: list[_Bracket] = field(default_factory=list)
    open: tuple[_Bracket, ...] = ()
    closed: int = 0
    notes: list[Diagnostic] = field(default_factory=list)


def read(source: str) -> tuple[tuple[Fragment, ...], tuple[Diagnostic, ...]]:
    """Read a whole prompt in one pass.

    Raises:
        PromptSyntaxError: a weight is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    reader = _Reader(source)
    for token in _TOKEN.finditer(source):
        _take(reader, token)
    for turn, bracket in enumerate((*reader.round, *reader.square), start=reader.closed):
        bracket.order = turn  # left open: they weigh the rest, rounds first
        _note_unclosed(reader, bracket)
    return tuple(_fragments(reader)), tuple(reader.notes)


def _take(reader: _Reader, token: re.Match[str]) -> None:
    """Read one token: escape, bracket, closing weight, or text."""
    start, end = token.span()
    char = reader.source[start]
    if char == "\\":  # a backslash that escapes nothing is dropped
        reader.pieces.append((reader.source[start + 1 : end], 1, start, end, reader.open))
    elif char in "([":
        _open(reader, start)
    elif char == ")" and reader.round:
        _close(reader, reader.round.pop())
    elif char == "]" and reader.square:
        _close(reader, reader.square.pop())
    elif token[1] is not None and reader.round:
        reader.round[-1].factor = _number(reader, *token.span(1))
        _close(reader, reader.round.pop())
    else:
        if token[1] is not None:
            _note_loose_weight(reader, start, end)
        _text(reader, start, end)


def _open(reader: _Reader, at: int) -> None:
    if len(reader.open) >= MAX_DEPTH:
        raise refuse_depth(reader.source, at)
    is_round = reader.source[at] == "("
    bracket = _Bracket(at, ROUND if is_round else SQUARE)
    (reader.round if is_round else reader.square).append(bracket)
    reader.open = (*reader.open, bracket)


def _close(reader: _Reader, bracket: _Bracket) -> None:
    """Give a bracket, already off its stack, its turn."""
    bracket.order = reader.closed
    reader.closed += 1
    last = reader.open[-1] is bracket  # brackets that cross are rare
    reader.open = reader.open[:-1] if last else tuple(b for b in reader.open if b is not bracket)


def _number(reader: _Reader, start: int, end: int) -> float:
    source = reader.source
    try:
        value = float(source[start:end])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PromptSyntaxError(
            "this weight is not a finite number",
            source,
            (start, end),
            "write a number such as 1.3, or a backslash before the bracket if it is text",
        )
    reader.notes += note_heavy(value, (start, end))
    return value


def _text(reader: _Reader, start: int, end: int) -> None:
    """Append source[start:end], cut at each word BREAK, whose surrounding spaces go with it."""
    source, pieces, brackets = reader.source, reader.pieces, reader.open
    found = source.find("BREAK", start, end)
    while found >= 0:
        after = found + len("BREAK")
        alone = not (found > start and _is_word(source[found - 1]))
        if alone and not (after < end and _is_word(source[after])):
            text = source[start:found].rstrip()
            pieces.append((text, 1, start, start + len(text), brackets))
            pieces.append(("BREAK", -1, found, after, brackets))
            if brackets:
                _note_break(reader, found)
            start = _skip_spaces(source, after, end)
        found = source.find("BREAK", after, end)
    pieces.append((source[start:end], 1, start, end, brackets))


def _skip_spaces(source: str, start: int, end: int) -> int:
    while start < end and source[start].isspace():
        start += 1
    return start


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _fragments(reader: _Reader) -> Iterator[Fragment]:
    """Weigh the pieces and join neighbours of one weight; an empty prompt is one empty fragment."""
    texts: list[str] = []
    weight, first, last = 1.0, 0, 0
    known: tuple[_Bracket, ...] = ()
    product = 1.0
    for text, base, start, end, brackets in reader.pieces:
        if brackets is not known:
            known, product = brackets, _product(reader.source, brackets)
        own = base * product
        if texts and own != weight:
            yield Fragment("".join(texts), weight, (first, last))
            texts = []
        if not texts:
            weight, first = own, start
        texts.append(text)
        last = end
    yield Fragment("".join(texts), weight, (first, last))


def _product(source: str, brackets: tuple[_Bracket, ...]) -> float:
    """The brackets' factors multiplied in the order in which they closed (floats do not commute)."""
    if len(brackets) <= 1:
        return brackets[0].factor if brackets else 1.0
    product: float = math.prod(map(_FACTOR, sorted(brackets, key=_TURN)))
    if not math.isfinite(product):
        raise refuse_overflow(source, (brackets[-1].start, brackets[-1].start + 1))
    return product


def _note_unclosed(reader: _Reader, bracket: _Bracket) -> None:
    char = reader.source[bracket.start]
    reader.notes.append(
        Diagnostic(
            f"{char!r} is never closed and weighs everything after it",
            (bracket.start, bracket.start + 1),
            f"close it, or write \\{char} for the character itself",
        )
    )


def _note_break(reader: _Reader, found: int) -> None:
    reader.notes.append(
        Diagnostic(
            "BREAK inside weighting brackets is read as a word",
            (found, found + 5),
            "close the brackets before BREAK and open them again after it",
        )
    )


def _note_loose_weight(reader: _Reader, start: int, end: int) -> None:
    reader.notes.append(
        Diagnostic(
            "a weight closes no bracket and is read as text",
            (start, end),
            "open a bracket before the words it should weigh: (words:1.3)",
        )
    )
