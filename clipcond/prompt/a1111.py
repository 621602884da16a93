"""The dialect of AUTOMATIC1111's web UI, in the order in which that program reads it.

    <lora:name:0.8>   names a LoRA (taken out of `Prompt.without_loras`; `parse` alone keeps the tag as text)
    a :1 AND b :0.5   two branches, composed in noise space with these weights
    [a:b:0.5] [a|b]   schedules: `clipcond.prompt.schedule`
    (a:1.3) [b]       weights, read in what each step says: `clipcond.prompt.weights`

What is unusual: AND divides first, even inside brackets, and only a prompt with AND has branch weights; schedules are
resolved before weights are read, so they may hold brackets, weights, even halves of words.
"""

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass, replace

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import schedule, weights
from clipcond.prompt.excerpt import Excerpt
from clipcond.prompt.hints import foreign
from clipcond.prompt.tree import Content, Diagnostic, Fixed, Fragment, Lora, Prompt, Span

_AND = re.compile(r"\bAND\b")
_BRANCH_WEIGHT = re.compile(r"\s*+([-+]?(?:\d+\.?|\d*\.\d+))")
_TAG = re.compile(r"<(lora|lyco):([^<>:]++)((?::[^<>:]*+)*+)>")


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
    whole = Excerpt.whole(source)
    loras, notes = _read_loras(source)
    notes += tuple(foreign(source, "a1111"))
    prompt = _read_branches(whole, loras, notes)
    if not loras:
        return prompt
    tags = [lora.span for lora in loras]
    edges = [0, *(at for span in tags for at in span), len(source)]
    bare = whole.cut(zip(edges[::2], edges[1::2], strict=True))
    return replace(prompt, untagged=_read_branches(bare, (), notes))


def _read_branches(
    excerpt: Excerpt, loras: tuple[Lora, ...], notes: tuple[Diagnostic, ...]
) -> Prompt:
    """Divide at each AND, and read what is between."""
    text, source = excerpt.text, excerpt.source
    ands = [found.span() for found in _AND.finditer(text)] if "AND" in text else []
    if not ands:
        content, own = _read_content(excerpt)
        return Prompt(source, "a1111", content, _sorted(own, notes), loras)
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
        loras,
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


def _read_loras(source: str) -> tuple[tuple[Lora, ...], tuple[Diagnostic, ...]]:
    """Every <lora:name:weight>; its weight is 1 where none is written."""
    if "<l" not in source:
        return (), ()
    loras: list[Lora] = []
    notes: list[Diagnostic] = []
    for tag in _TAG.finditer(source):
        weight, rest = _lora_weight(tag[3])
        if weight is None:
            message, hint = (
                "this LoRA's weight is no number: the tag is read as text",
                "write <lora:name:0.8>",
            )
        else:
            denoiser, _ = _lora_weight(f":{rest}") if rest and ":" not in rest else (None, "")
            loras.append(Lora(tag[2], weight, tag.span(), denoiser))
            message = "a LoRA is named here but not loaded" + (
                f", and {rest!r} not read" if rest and denoiser is None else ""
            )
            hint = "clipcond.apply_loras(pipe, prompt, folder=...) loads it; prompt.loras lists what was named"
        notes.append(Diagnostic(message, tag.span(), hint))
    return tuple(loras), tuple(notes)


def _lora_weight(arguments: str) -> tuple[float | None, str]:
    """The text encoder's weight among a tag's arguments (None: no finite number), and what else they say."""
    _, first, *rest = [*arguments.split(":"), ""] if arguments else ["", "1", ""]
    try:
        weight = float(first)
    except ValueError:
        return None, ""
    return (weight if math.isfinite(weight) else None), ":".join(rest).strip(":")


def _sorted(
    notes: list[Diagnostic] | tuple[Diagnostic, ...], more: tuple[Diagnostic, ...]
) -> tuple[Diagnostic, ...]:
    return tuple(sorted([*notes, *more], key=lambda note: note.span)) if notes or more else ()
