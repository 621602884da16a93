"""The branches of a prompt in A1111's syntax: where keywords divide it, what each branch weighs, and what it says.

A keyword divides wherever it stands, even inside brackets; `: weight` at the end of a branch is the branch's.
"""

import math
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import a1111_schedule as schedule
from clipcond.prompt import a1111_weights as weights
from clipcond.prompt import hints
from clipcond.prompt.excerpt import Excerpt
from clipcond.prompt.tree import Content, Diagnostic, Fixed, Fragment, Prompt, Span

_AND = re.compile(r"\bAND\b")
WEIGHT = re.compile(r"\s*+([-+]?(?:\d+\.?|\d*\.\d+))")


@dataclass(frozen=True, slots=True, eq=False)
class Scheduled:
    """What a prompt with schedules says.

    Attributes:
        excerpt: the text, with everything that is said at any step.
        items: its slices and what decides among them.
    """

    excerpt: Excerpt
    items: schedule.Items

    @property
    def text(self) -> str:
        """All of it, with weights and schedules."""
        return self.excerpt.text

    @property
    def is_scheduled(self) -> bool:
        """Always."""
        return True

    def fragments(self, step: int, steps: int) -> tuple[Fragment, ...]:
        """The weights of what a step says."""
        return _weigh(self._said(step + 1, steps))[0]

    def rows(self, steps: int) -> tuple[tuple[int, str], ...]:
        """One row for each step after which something changes, as the web UI counts."""
        text = self.excerpt.text
        return tuple(
            (last, "".join(text[a:b] for a, b in schedule.spans_at(self.items, last, steps)))
            for last in schedule.last_steps(self.items, steps)
        )

    def meaning(self) -> Hashable:
        """The texts and what decides among them."""
        return schedule.meaning_of(self.items, self.excerpt.text)

    def _said(self, step: int, steps: int) -> Excerpt:
        """At a step, counted from 1."""
        return self.excerpt.cut(schedule.spans_at(self.items, step, steps))


Divide = Callable[[str], list[re.Match[str]]]


def at_and(text: str) -> list[re.Match[str]]:
    """Each AND of a text."""
    return list(_AND.finditer(text)) if "AND" in text else []


def read(excerpt: Excerpt, notes: tuple[Diagnostic, ...], dialect: str, divide: Divide) -> Prompt:
    """Divide at each keyword, and read what is between.

    Args:
        excerpt: the prompt without comments, and without tags if they are not to be read.
        notes: what else is odd in its source.
        dialect: the name of its dialect.
        divide: a text -> its keywords.

    Raises:
        PromptSyntaxError: a weight or a step is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    text, source = excerpt.text, excerpt.source
    keywords = divide(text)
    if not keywords:
        content, own = _read_content(excerpt)
        return Prompt(source, dialect, content, hints.in_order(own, notes))
    edges = [0, *(at for keyword in keywords for at in keyword.span()), len(text)]
    parts: list[tuple[Prompt, float]] = []
    found: list[Diagnostic] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        span, weight = _branch_weight(excerpt, start, end)
        part = excerpt.part(span)
        begin = excerpt.place(span)[0]
        try:
            content, own = _read_content(part)
        except PromptSyntaxError as error:
            moved = _moved(error.span, begin)
            raise PromptSyntaxError(error.message, source, moved, error.hint) from None
        found += [replace(note, span=_moved(note.span, begin)) for note in own]
        parts.append((Prompt(part.source, dialect, content, own), weight))
    items, _ = schedule.read(text)
    return Prompt(
        source,
        dialect,
        Scheduled(excerpt, items) if _is_scheduled(items) else Fixed(text, ()),
        hints.in_order(found, notes),
        joined="compose",
        parts=tuple(parts),
        keywords=tuple(keyword[0] for keyword in keywords),
    )


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _branch_weight(excerpt: Excerpt, start: int, end: int) -> tuple[Span, float]:
    """The span of a branch without its `: weight` and the blanks at its end, and the weight."""
    text = excerpt.text
    stripped = text[start:end].rstrip()
    end = start + len(stripped)
    colon = text.rfind(":", start, end)
    number = WEIGHT.fullmatch(text, colon + 1, end) if colon >= 0 else None
    if number is None:
        return (start, end), 1.0
    weight = float(number[1])
    if not math.isfinite(weight):
        raise PromptSyntaxError(
            "this branch's weight is not a finite number",
            excerpt.source,
            excerpt.place(number.span(1)),
            "write a number such as 0.5",
        )
    return (start, start + len(text[start:colon].rstrip())), weight


def _read_content(excerpt: Excerpt) -> tuple[Content, tuple[Diagnostic, ...]]:
    """One branch: its schedules, and the weights of what it says first and last."""
    items: schedule.Items = ((0, len(excerpt.text)),)
    notes: tuple[Diagnostic, ...] = ()
    if "[" in excerpt.text:
        try:
            items, notes = schedule.read(excerpt.text)
        except PromptSyntaxError as error:
            raise excerpt.place_error(error) from None
    if not _is_scheduled(items):
        fragments, more = _weigh(excerpt)
        return Fixed(excerpt.text, fragments), hints.in_order(excerpt.place_notes(notes), more)
    found = [note for end in (0, -1) for note in _end_notes(excerpt, items, end)]
    return Scheduled(excerpt, items), hints.in_order(
        excerpt.place_notes(notes), tuple(dict.fromkeys(found))
    )


def _end_notes(excerpt: Excerpt, items: schedule.Items, end: int) -> tuple[Diagnostic, ...]:
    """What is odd in the text with everything at its first (0) or last (-1) option; its weights are checked."""
    spans = schedule.end_spans(items, end)
    try:
        _, notes = weights.read("".join(excerpt.text[start:stop] for start, stop in spans))
    except PromptSyntaxError as error:
        raise excerpt.cut(spans).place_error(error) from None
    return excerpt.cut(spans).place_notes(notes) if notes else ()


def _is_scheduled(items: schedule.Items) -> bool:
    return any(not isinstance(item, tuple) for item in items)


def _weigh(said: Excerpt) -> tuple[tuple[Fragment, ...], tuple[Diagnostic, ...]]:
    """The weights of a text, with spans, notes and errors about its source."""
    if said.is_whole:
        return weights.read(said.text)
    try:
        fragments, notes = weights.read(said.text)
    except PromptSyntaxError as error:
        raise said.place_error(error) from None
    return said.place_fragments(fragments), said.place_notes(notes)
