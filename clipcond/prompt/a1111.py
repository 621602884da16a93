"""The dialect of AUTOMATIC1111's web UI, in the order in which that program reads it.

    # comment         taken out first: `clipcond.prompt.comments`
    <lora:name:0.8>   a tag: `clipcond.prompt.tags` (taken out of `Prompt.without_tags`; `parse` alone keeps it as text)
    a :1 AND b :0.5   two branches, composed in noise space with these weights
    [a:b:0.5] [a|b]   schedules: `clipcond.prompt.schedule`
    (a:1.3) [b]       weights, read in what each step says: `clipcond.prompt.weights`

What is unusual: AND divides first, even inside brackets; schedules are resolved before weights are read, so they may
hold brackets, weights, even halves of words. One thing differs on purpose: only a prompt with AND has branch weights.
The web UI reads `a cat, 16:9` as "a cat, 16" of weight 9, unless it is a negative prompt, which cannot be told from
the text; a number at the end is text here, and noted.
"""

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass, replace

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import comments, schedule, tags, weights
from clipcond.prompt.excerpt import Excerpt
from clipcond.prompt.hints import foreign
from clipcond.prompt.tree import Content, Diagnostic, Fixed, Fragment, Prompt, Span

_AND = re.compile(r"\bAND\b")
_BRANCH_WEIGHT = re.compile(r"\s*+([-+]?(?:\d+\.?|\d*\.\d+))")


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
        said = self.excerpt.cut(schedule.spans_at(self.items, step + 1, steps))
        return _weigh(said)[0]

    def rows(self, steps: int) -> tuple[tuple[int, str], ...]:
        """One row for each step after which something changes, as the web UI counts."""
        return tuple((last, self._text(last, steps)) for last in self._last_steps(steps))

    def meaning(self) -> Hashable:
        """The texts and what decides among them."""
        return schedule.meaning_of(self.items, self.excerpt.text)

    def _last_steps(self, steps: int) -> list[int]:
        return schedule.last_steps(self.items, steps)

    def _text(self, step: int, steps: int) -> str:
        text = self.excerpt.text
        return "".join(text[a:b] for a, b in schedule.spans_at(self.items, step, steps))


def read(source: str) -> Prompt:
    """Read a whole prompt.

    Raises:
        PromptSyntaxError: a weight or a step is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    hidden = comments.hashes(source)
    said = Excerpt.whole(source).without(hidden)
    tagged = tags.read(said.text)
    bare = said.without([tag.span for tag in tagged.tags])
    notes = (
        *comments.notes(source, hidden),
        *said.place_notes(tagged.notes),
        *bare.place_notes([*foreign(bare.text, "a1111"), *_end_weight(bare.text)]),
    )
    prompt = _read_branches(said, notes)
    if not tagged.tags:
        return prompt
    return replace(
        prompt,
        loras=tuple(replace(lora, span=said.place(lora.span)) for lora in tagged.loras),
        tags=tuple(replace(tag, span=said.place(tag.span)) for tag in tagged.tags),
        untagged=_read_branches(bare, notes),
    )


def _end_weight(text: str) -> tuple[Diagnostic, ...]:
    """A number that the web UI reads as the weight of a whole prompt without AND."""
    end = len(text.rstrip())
    colon = text.rfind(":", 0, end)
    number = _BRANCH_WEIGHT.fullmatch(text, colon + 1, end) if colon >= 0 else None
    if number is None or ("AND" in text and _AND.search(text)):
        return ()
    message = f"{text[colon:end]!r} at the end is text here; the web UI weighs a whole prompt by it, but a negative one"
    hint = f"end with a comma if it is text: {text[colon:end]},"
    if text[:colon].rstrip().endswith(")"):
        hint = f"write it inside the bracket to weigh words: (words{text[colon:end]})"
    return (Diagnostic(message, (colon, end), hint),)


def _read_branches(excerpt: Excerpt, notes: tuple[Diagnostic, ...]) -> Prompt:
    """Divide at each AND, and read what is between."""
    text, source = excerpt.text, excerpt.source
    ands = [found.span() for found in _AND.finditer(text)] if "AND" in text else []
    if not ands:
        content, own = _read_content(excerpt)
        return Prompt(source, "a1111", content, _sorted(own, notes))
    edges = [0, *(at for span in ands for at in span), len(text)]
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
        parts.append((Prompt(part.source, "a1111", content, own), weight))
    items, _ = schedule.read(text)
    return Prompt(
        source,
        "a1111",
        Scheduled(excerpt, items) if _is_scheduled(items) else Fixed(text, ()),
        _sorted(found, notes),
        joined="compose",
        parts=tuple(parts),
    )


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _branch_weight(excerpt: Excerpt, start: int, end: int) -> tuple[Span, float]:
    """The span of a branch without its `: weight` and the blanks at its end, and the weight."""
    text = excerpt.text
    stripped = text[start:end].rstrip()
    end = start + len(stripped)
    colon = text.rfind(":", start, end)
    number = _BRANCH_WEIGHT.fullmatch(text, colon + 1, end) if colon >= 0 else None
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
        return Fixed(excerpt.text, fragments), _sorted(excerpt.place_notes(notes), more)
    found = [note for end in (0, -1) for note in _end_notes(excerpt, items, end)]
    return Scheduled(excerpt, items), _sorted(
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


def _sorted(
    notes: list[Diagnostic] | tuple[Diagnostic, ...], more: tuple[Diagnostic, ...]
) -> tuple[Diagnostic, ...]:
    return tuple(sorted([*notes, *more], key=lambda note: note.span)) if notes or more else ()
