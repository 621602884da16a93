"""The schedules of AUTOMATIC1111's web UI: which slices of a prompt are said at which step.

    [from:to:when]   from up to step `when`, then to      [from::when]   nothing after it
    [to:when]        nothing, then to                     [a|b|c]        one each step, in turn

`when` is a share of the steps if it is written with a point, otherwise a step. What is unusual:

- A bracket is a schedule only if all inside it is well formed: brackets of both kinds closed in order, at most one
  colon in a round pair, no `|` but an alternation's own. One that is not is text, and schedules beside it still are.
- A `|` or a backslash where the grammar has none makes every schedule of the prompt text.

One thing differs on purpose: a schedule directly before two or more brackets or colons that belong to nothing stays
one here; the web UI's general parser finds two readings there and takes now one, now the other.

One pass with a stack: what breaks one open bracket breaks all that are open, since they hold it.
"""

import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Union

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.hints import MAX_DEPTH, refuse_depth
from clipcond.prompt.tree import Diagnostic, Span

Items = tuple[Union[Span, "Switch", "Cycle"], ...]

_TOKEN = re.compile(r"\\.|[\\\[\]():|]|[^\\\[\]():|]++")
_WHEN = re.compile(r"\s*+([+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+")


@dataclass(frozen=True, slots=True)
class Switch:
    """[before:after:when].

    Attributes:
        before: said up to and including the last step.
        after: said from then on.
        when: a step, or a share of the steps.
        is_share: which of the two.
    """

    before: Items
    after: Items
    when: float
    is_share: bool

    def last(self, steps: int) -> int:
        """The last step, counted from 1, that says `before`."""
        return int(min(steps, max(0.0, self.when * steps if self.is_share else self.when)))

    def at(self, step: int, steps: int) -> Items:
        """What is said at a step, counted from 1."""
        return self.before if step <= self.last(steps) else self.after


@dataclass(frozen=True, slots=True)
class Cycle:
    """[a|b|c].

    Attributes:
        options: at least two.
    """

    options: tuple[Items, ...]

    def at(self, step: int, steps: int) -> Items:  # noqa: ARG002 - as Switch's
        """What is said at a step, counted from 1."""
        return self.options[(step - 1) % len(self.options)]


def spans_at(items: Items, step: int, steps: int) -> list[Span]:
    """The spans that are said at a step, counted from 1."""
    spans: list[Span] = []
    for item in items:
        if isinstance(item, tuple):
            spans.append(item)
        else:
            spans += spans_at(item.at(step, steps), step, steps)
    return spans


def end_spans(items: Items, end: int) -> list[Span]:
    """The spans that are said when everything is at its first (0) or last (-1) option."""
    spans: list[Span] = []
    for item in items:
        if isinstance(item, tuple):
            spans.append(item)
        else:
            spans += end_spans(_options(item)[end], end)
    return spans


def last_steps(items: Items, steps: int) -> list[int]:
    """The steps, counted from 1, after which something changes, and the last one."""
    found = {steps}
    for node in _nodes(items):
        if isinstance(node, Cycle):
            found.update(range(1, steps + 1))
        elif node.last(steps) >= 1:
            found.add(node.last(steps))
    return sorted(found)


def meaning_of(items: Items, text: str) -> Hashable:
    """Equal for two schedules that say the same at every step."""
    parts: list[Hashable] = []
    for item in items:
        if isinstance(item, Switch):
            inner = tuple(meaning_of(option, text) for option in _options(item))
            parts.append((inner, item.when, item.is_share))
        elif isinstance(item, Cycle):
            parts.append(tuple(meaning_of(option, text) for option in item.options))
        else:
            parts.append(text[slice(*item)])
    return tuple(parts)


def _options(node: Switch | Cycle) -> tuple[Items, ...]:
    return node.options if isinstance(node, Cycle) else (node.before, node.after)


def _nodes(items: Items) -> Iterator[Switch | Cycle]:
    waiting = [items]
    while waiting:
        for item in waiting.pop():
            if not isinstance(item, tuple):
                yield item
                waiting += _options(item)


@dataclass(slots=True, eq=False)
class _Frame:
    """An open bracket: where, how many items came before it, and the (`:` or `|`, items before it) inside."""

    start: int
    first: int
    marks: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    source: str
    items: list[Union[Span, "Switch", "Cycle"]] = field(default_factory=list)
    open: list[_Frame] = field(default_factory=list)
    broken: Span | None = None
    notes: list[Diagnostic] = field(default_factory=list)
    found: int = 0


def read(source: str) -> tuple[Items, tuple[Diagnostic, ...]]:
    """The items of a prompt; one span, all of it, where nothing is scheduled.

    Raises:
        PromptSyntaxError: `when` is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    reader = _Reader(source)
    for token in _TOKEN.finditer(source):
        _take(reader, *token.span())
    for frame in reader.open:
        _break_at_bar(reader, frame)
    if reader.found and reader.broken:
        reader.notes.insert(0, _broken_note(source, reader.broken))
    if reader.broken or not reader.found:
        return ((0, len(source)),), tuple(reader.notes)
    return tuple(_joined(reader.items)), tuple(reader.notes)


def _take(reader: _Reader, start: int, end: int) -> None:
    char = reader.source[start]
    if char in "([":
        if len(reader.open) >= MAX_DEPTH:
            raise refuse_depth(reader.source, start)
        reader.open.append(_Frame(start, len(reader.items)))
        reader.items.append((start, end))
    elif char in ")]":
        _close(reader, start)
    elif char in ":|":
        if reader.open:
            reader.open[-1].marks.append((start, len(reader.items)))
        elif char == "|":
            _break(reader, (start, end))
        reader.items.append((start, end))
    else:
        if char == "\\" and end == start + 1:  # at the end, or before a line's end
            _break(reader, (start, end))
        reader.items.append((start, end))


def _close(reader: _Reader, at: int) -> None:
    """A closing bracket: a schedule, a pair of well-formed text, or a stray that breaks all that is open."""
    source = reader.source
    frame = reader.open[-1] if reader.open else None
    kind = source[frame.start] if frame else ""
    bars = [at for at, _ in frame.marks if source[at] == "|"] if frame and frame.marks else []
    if frame and source[at] == ")" and kind == "(" and not bars and len(frame.marks) <= 1:
        reader.open.pop()
        reader.items.append((at, at + 1))
    elif frame and source[at] == "]" and kind == "[" and _is_node(reader, frame, at, len(bars)):
        reader.open.pop()
    else:
        for broken in reader.open:
            _break_at_bar(reader, broken)
        reader.open.clear()
        reader.items.append((at, at + 1))


def _is_node(reader: _Reader, frame: _Frame, at: int, bars: int) -> bool:
    """Take a well-formed square pair: as a schedule, or left as text where nothing divides it."""
    if not frame.marks:
        reader.items.append((at, at + 1))
        return True
    parts = _divide(reader, frame)
    if bars == len(frame.marks):
        _replace(reader, frame, Cycle(parts))
        return True
    when = _WHEN.fullmatch(reader.source, frame.marks[-1][0] + 1, at)
    if bars or when is None:
        return False
    if len(parts) > 3:
        reader.notes.append(
            Diagnostic(
                "more than two colons: read as text, not as a schedule",
                (frame.start, at + 1),
                "write [from:to:when]; put a text with a colon in round brackets, or a backslash before it",
            )
        )
        return False
    value = float(when[1])
    if not math.isfinite(value):
        raise PromptSyntaxError(
            "this step is not a finite number",
            reader.source,
            when.span(1),
            "write a step such as 10, or a share of the steps such as 0.5",
        )
    before, after = parts[:2] if len(parts) == 3 else ((), parts[0])
    _replace(reader, frame, Switch(before, after, value, "." in when[1]))
    return True


def _divide(reader: _Reader, frame: _Frame) -> tuple[Items, ...]:
    """The items between the marks, marks left out."""
    edges = [frame.first, *(index for _, index in frame.marks), len(reader.items)]
    return tuple(tuple(_joined(reader.items[one + 1 : other])) for one, other in pairwise(edges))


def _replace(reader: _Reader, frame: _Frame, node: Switch | Cycle) -> None:
    del reader.items[frame.first :]
    reader.items.append(node)
    reader.found += 1


def _joined(
    items: list[Union[Span, "Switch", "Cycle"]],
) -> Iterator[Union[Span, "Switch", "Cycle"]]:
    """Neighbouring spans as one."""
    start = end = 0
    for item in items:
        if isinstance(item, tuple) and item[0] == end and end > start:
            end = item[1]
            continue
        if end > start:
            yield start, end
        start = end = 0
        if isinstance(item, tuple):
            start, end = item
        else:
            yield item
    if end > start:
        yield start, end


def _break_at_bar(reader: _Reader, frame: _Frame) -> None:
    for at, _ in frame.marks:
        if reader.source[at] == "|":
            _break(reader, (at, at + 1))


def _break(reader: _Reader, span: Span) -> None:
    if reader.broken is None or span < reader.broken:
        reader.broken = span


def _broken_note(source: str, span: Span) -> Diagnostic:
    char = source[span[0]]
    where = "outside [a|b]" if char == "|" else "that escapes nothing"
    return Diagnostic(
        f"{char!r} {where} makes this whole prompt's schedules text, as in the web UI",
        span,
        f"write \\{char} if it is text",
    )
