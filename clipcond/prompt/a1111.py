"""The dialect of AUTOMATIC1111's web UI, in the order in which that program reads it.

    # comment         to the end of the line, taken out before anything else is read
    <lora:name:0.8>   a tag: `clipcond.prompt.a1111_tags`; taken out of `Prompt.without_tags`, text to `parse` alone
    a :1 AND b :0.5   two branches, composed in noise space with these weights
    [a:b:0.5] [a|b]   schedules: `clipcond.prompt.a1111_schedule`
    (a:1.3) [b]       weights, read in what each step says: `clipcond.prompt.a1111_weights`

What is unusual: AND divides first, even inside brackets; schedules are resolved before weights are read, so they may
hold brackets, weights, even halves of words. One thing differs on purpose: only a prompt with AND has branch weights.
The web UI reads `a cat, 16:9` as "a cat, 16" of weight 9, unless it is a negative prompt, which cannot be told from
the text; a number at the end is text here, and noted.
"""

import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import a1111_schedule as schedule
from clipcond.prompt import a1111_tags as tags
from clipcond.prompt import a1111_weights as weights
from clipcond.prompt import hints
from clipcond.prompt.contract import Dialect
from clipcond.prompt.excerpt import Excerpt
from clipcond.prompt.tree import Content, Diagnostic, Fixed, Fragment, Lora, Prompt, Span
from clipcond.prompt.writing import digits, pieces_of

_AND = re.compile(r"\bAND\b")
_BRANCH_WEIGHT = re.compile(r"\s*+([-+]?(?:\d+\.?|\d*\.\d+))")
# a line that is only a comment goes with its end, unless the line before it just did
_COMMENT = re.compile(r"\n#[^\n]*+\n|#[^\n]*+")
_KEYWORD = re.compile(r"\b(BRE)(AK)\b|\b(AN)(D)\b|(<\w++)(:)")
_BRANCH_END = re.compile(r"\s\Z|:\s*[-+]?[\d.]+\Z")


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


def read(source: str) -> Prompt:
    """Read a whole prompt.

    Raises:
        PromptSyntaxError: a weight or a step is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    hidden = _comments(source)
    said = Excerpt.whole(source).without(hidden)
    tagged = tags.read(said.text)
    bare = said.without([tag.span for tag in tagged.tags])
    notes = (
        *hints.note_comments(source, hidden),
        *said.place_notes(tagged.notes),
        *bare.place_notes([*hints.foreign(bare.text, A1111.hints), *_end_weight(bare.text)]),
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


def _comments(source: str) -> list[Span]:
    if "#" not in source:
        return []
    found = [comment.span() for comment in _COMMENT.finditer(source)]
    return [(start + (source[start] == "\n"), end) for start, end in found]


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
        return Prompt(source, "a1111", content, hints.in_order(own, notes))
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
        hints.in_order(found, notes),
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


def write(prompt: Prompt, loras: Sequence[Lora]) -> str:
    """Tags first; weights as (text:weight); schedules as they were. Windows of their own come nearest to `concat`."""
    text = "".join(map(_lora_tag, loras))
    branches = [(_written(branch), weight) for branch, weight in prompt.branches]
    if prompt.joined in ("", "concat"):
        return text + " BREAK ".join(written for written, _ in branches)
    for number, (written, weight) in enumerate(branches):
        if number:
            is_glued = re.match(r"\w", written)
            text += " AND" + ((prompt.separator or "()") if is_glued else "")
        text += written
        if weight != 1:
            text += f" :{digits(weight)}"
        elif _BRANCH_END.search(written):
            text += "()"
    return text


def _lora_tag(lora: Lora) -> str:
    unet = f":{digits(lora.unet_weight)}" if lora.unet_weight != lora.weight else ""
    return f"<lora:{lora.name}:{digits(lora.weight)}{unet}>"


def _written(branch: Prompt) -> str:
    if branch.is_scheduled:
        return branch.content.text
    pieces = pieces_of(branch)
    written = ""
    for i, piece in enumerate(pieces):
        before, after = pieces[max(0, i - 1)], pieces[min(i + 1, len(pieces) - 1)]
        if piece.is_break and before.weight == after.weight == 1:
            written += "() BREAK" if before.text[-1:].isspace() else " BREAK"
            written += "()" if after.text[:1].isspace() else " "
        elif piece.weight != 1:
            written += f"({_escaped(piece.text)}:{digits(piece.weight)})"
        elif piece.text:
            written += _escaped(piece.text)
        elif len(pieces) > 1 and not (before.is_break or after.is_break):
            written += f"({_escaped('')}:1)"
    return written


def _escaped(text: str) -> str:
    """Text that is read as itself; brackets with nothing inside cut a keyword, a lone backslash is empty text."""
    escaped = re.sub(r"[\\()\[\]]", r"\\\g<0>", text)
    return _KEYWORD.sub(lambda found: "()".join(filter(None, found.groups())), escaped) or "\\"


A1111 = Dialect(
    name="a1111",
    read=read,
    write=write,
    hints=(
        *hints.UNREAD,
        *hints.NEARLY,
        # at the end of a branch it is that branch's weight
        (
            re.compile(rf"{hints.LATE_WEIGHT}(?!\s*+(?:AND\b|\Z))"),
            "a weight after its bracket is text here",
            hints.INSIDE,
        ),
        (
            re.compile(r"\[[^\[\]:|]*+:\s*+(?:1\.0*+[1-9]\d*+|[2-9]\.\d++)\s*+\]"),
            "this comes after more than all of the steps: it is never said",
            "square brackets take no weight: write (words:1.3)",
        ),
        (
            re.compile(r"<\s*+(?:lora|lyco|hypernet)\s*+:", re.IGNORECASE),
            "this tag is never closed, or has blanks in its first word: it is text",
            "write <lora:name:0.8>",
        ),
        hints.COMPEL_WEIGHT,
        hints.COMPEL_OPERATOR,
    ),
    joint="AND or BREAK",
    breaks=True,
)
