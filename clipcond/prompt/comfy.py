"""ComfyUI's weight syntax, answered exactly as that program answers it.

    (text)      weight * 1.1        \\( \\)   the character itself
    (text:1.3)  weight 1.3, whatever is around it

What is unusual: an inner number replaces what is around it, but bare brackets multiply; neighbours of one weight stay
apart, and an empty prompt has no fragment; any number that Python reads is a weight. A bracket left open is text with
all that follows, unless the text ends in a closing one, which then closes it, not its own. A closing bracket too many
turns the next opening one into text.

Comments, `//` to the line's end and `/* */`, are taken out first, as ComfyUI's page does in its text fields.

A weight that is no finite number and nesting deeper than `MAX_DEPTH` are errors with a caret here.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import hints
from clipcond.prompt.contract import Dialect
from clipcond.prompt.excerpt import Excerpt
from clipcond.prompt.tree import Diagnostic, Fixed, Fragment, Lora, Prompt, Segment, Span
from clipcond.prompt.writing import digits, flattened

_FACTOR = 1.1

_TOKEN = re.compile(r"\\[()]|[():]|\\|[^\\():]++")
_SLASHES = re.compile(r"//[^\n\r\u2028\u2029]*+")
_SLASHES_OR_BLOCK = re.compile(rf"{_SLASHES.pattern}|/\*")
_SLASH = re.compile(r"/(?=[/*])")


@dataclass(slots=True, eq=False)
class _Group:
    """A bracket: where it opens and closes (-1: never), its number, and where its text ends."""

    start: int
    close: int = -1
    weight: float | None = None
    end: int = -1
    colon: int = -1


@dataclass(slots=True)
class _Reader:
    """The brackets of a prompt, in order of their opening."""

    source: str
    groups: list[_Group] = field(default_factory=list)
    open: list[_Group] = field(default_factory=list)
    closers: dict[int, _Group] = field(default_factory=dict)
    owed: int = 0
    notes: list[Diagnostic] = field(default_factory=list)


def read(source: str) -> Prompt:
    """Read a whole prompt.

    Raises:
        PromptSyntaxError: a weight is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    hidden = list(comments(source)) if "//" in source or "/*" in source else []
    said = Excerpt.whole(source).without(hidden)
    reader = _Reader(said.text)
    try:
        fragments = said.place_fragments(tuple(_read(reader)))
    except PromptSyntaxError as error:
        raise said.place_error(error) from None
    own = said.place_notes([*reader.notes, *hints.foreign(said.text, COMFY.hints)])
    notes = hints.in_order(hints.note_comments(source, hidden), own)
    return Prompt(source, "comfy", Fixed(said.text, fragments), notes)


def comments(source: str) -> Iterator[Span]:
    """What ComfyUI's page takes out."""
    pattern, at = _SLASHES_OR_BLOCK, 0
    while found := pattern.search(source, at):
        at = found.end()
        if found[0] == "/*":
            close = source.find("*/", at)
            if close < 0:  # it is text, and so is every later one
                pattern = _SLASHES
                continue
            at = close + 2
        yield found.start(), at


def _read(reader: _Reader) -> Iterator[Fragment]:
    if "(" in reader.source or ")" in reader.source:
        for token in _TOKEN.finditer(reader.source):
            _take(reader, *token.span())
    return _fragments(reader)


def _take(reader: _Reader, start: int, end: int) -> None:
    """Match brackets; remember the last colon after them, where a number may begin."""
    char = reader.source[start:end]
    if char == "(" and reader.owed:
        reader.owed -= 1
        reader.notes.append(
            Diagnostic(
                "this bracket is text because one before it closed nothing", (start, end), ""
            )
        )
    elif char == "(":
        if len(reader.open) >= hints.MAX_DEPTH:
            raise hints.refuse_depth(reader.source, start)
        group = _Group(start)
        reader.open.append(group)
        reader.groups.append(group)
    elif char == ")" and reader.open:
        group = reader.open.pop()
        group.close = start
        reader.closers[start] = group
        _number(reader, group, group.colon, start)
        if reader.open:
            reader.open[-1].colon = -1
    elif char == ")":
        reader.owed += 1
        reader.notes.append(
            Diagnostic(
                "this bracket closes nothing; the next opening one becomes text too",
                (start, end),
                "leave it out, or write \\)",
            )
        )
    elif char == ":" and reader.open:
        reader.open[-1].colon = start


def _number(reader: _Reader, group: _Group, colon: int, close: int) -> None:
    """Read source[colon + 1 : close] as the group's weight, if Python can."""
    group.end = close
    if colon <= group.start + 1:
        return
    try:
        value = float(reader.source[colon + 1 : close])
    except ValueError:
        return
    span = (colon + 1, close)
    if not math.isfinite(value):
        raise PromptSyntaxError(
            "this weight is not a finite number", reader.source, span, "write a number such as 1.3"
        )
    reader.notes += hints.note_heavy(value, span)
    group.weight, group.end = value, colon


def _fragments(reader: _Reader) -> Iterator[Fragment]:
    """What is before a bracket left open, then what is in it, as long as the end closes it."""
    groups = iter([*reader.groups, _Group(len(reader.source))])
    left_open = [group for group in reader.groups if group.close < 0]
    start, end, weight = 0, len(reader.source), 1.0
    for group in left_open:  # grows below
        yield from _balanced(reader, groups, (start, group.start), weight)
        start = group.start
        _note_unclosed(reader, group)
        inner = reader.closers.pop(end - 1, None)
        if inner is None:
            break
        end, inner.close, inner.weight = end - 1, -1, None
        left_open.append(inner)  # its own bracket is gone: it closed the outer one
        if reader.source[end - 1] != ")":
            colon = reader.source.rfind(":", start, end)
            _number(reader, group, colon, end)
            end = group.end
        weight = _weight(reader.source, group, weight)
        start += 1
    else:
        yield from _balanced(reader, groups, (start, end), weight)
        return
    yield from _text(reader.source, start, end, weight)


def _balanced(
    reader: _Reader, groups: Iterator[_Group], span: tuple[int, int], weight: float
) -> Iterator[Fragment]:
    """The fragments of a span whose groups all close in it; takes them, and the one after it, from `groups`."""
    at, end = span
    inside: list[tuple[_Group, float]] = []
    for group in groups:
        while inside and inside[-1][0].close < group.start:
            closed, outer = inside.pop()
            yield from _text(reader.source, at, closed.end, weight)
            at, weight = closed.close + 1, outer
        if group.start >= end:
            break
        yield from _text(reader.source, at, group.start, weight)
        inside.append((group, weight))
        at, weight = group.start + 1, _weight(reader.source, group, weight)
    yield from _text(reader.source, at, end, weight)


def _weight(source: str, group: _Group, outer: float) -> float:
    weight = outer * _FACTOR if group.weight is None else group.weight
    if not math.isfinite(weight):
        raise hints.refuse_overflow(source, (group.start, group.start + 1))
    return weight


def _text(source: str, start: int, end: int, weight: float) -> Iterator[Fragment]:
    if start < end:
        text = source[start:end].replace("\\(", "(").replace("\\)", ")")
        yield Fragment(text, weight, (start, end))


def _note_unclosed(reader: _Reader, group: _Group) -> None:
    reader.notes.append(
        Diagnostic(
            "'(' is never closed: it and what follows are read as text, or closed by the prompt's last bracket",
            (group.start, group.start + 1),
            "close it, or write \\( for the character itself",
        )
    )


def write(prompt: Prompt, loras: Sequence[Lora]) -> str:  # noqa: ARG001 - it has no LoRAs
    """Weights as (text:weight), none inside another; only its own neighbours of one weight stay apart."""
    pieces = flattened(prompt)
    if prompt.dialect != "comfy":
        groups = groupby(pieces, key=lambda piece: piece.weight)
        pieces = [Segment("".join(p.text for p in group), weight) for weight, group in groups]
    written, is_bare = "", False
    for piece in pieces:
        escaped = re.sub(r"[()]", r"\\\g<0>", piece.text)
        escaped = _SLASH.sub("/()", escaped)
        if piece.weight == 1 and not is_bare and not escaped.endswith("\\"):
            written, is_bare = written + escaped, True
        elif escaped:
            written, is_bare = f"{written}({escaped}:{digits(piece.weight)})", False
    return written


COMFY = Dialect(
    name="comfy",
    read=read,
    write=write,
    hints=(
        *hints.UNREAD,
        *hints.NEARLY,
        (re.compile(hints.LATE_WEIGHT), "a weight after its bracket is text here", hints.INSIDE),
        hints.SQUARE,
        hints.BREAK,
        hints.AND,
        hints.AND_PLUS,
        hints.TAG,
        hints.COMPEL_WEIGHT,
        hints.COMPEL_OPERATOR,
    ),
    drops_unmet=True,
)
