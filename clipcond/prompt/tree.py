"""What a parsed prompt is: weighted fragments at each step, in order, with their place in the source.

Fragments are flat because the dialects' weights are: brackets may cross, and a fragment's weight is all that remains
of the brackets around it. What depends on the step is the `Content`'s business. This module knows no dialect and no
tokens.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from clipcond.errors import ClipcondError

Span = tuple[int, int]
T = TypeVar("T")

_MOST = 4  # stretches of a schedule in a repr


class Segment(NamedTuple):
    """A run of text and its weight, as a weighting mode wants it. A break is ("BREAK", -1)."""

    text: str
    weight: float

    @property
    def is_break(self) -> bool:
        """Whether this ends a chunk rather than being text."""
        return self.text == "BREAK" and self.weight == -1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something a prompt probably did not mean.

    Attributes:
        message: what was found and how it was read.
        span: (start, end) in characters of the prompt.
        hint: the repair, or "".
    """

    message: str
    span: Span
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A run of text of one weight, escapes resolved.

    Attributes:
        text: what the encoder reads, or "BREAK".
        weight: what the brackets around it make; -1 for a break outside brackets.
        span: (start, end) in characters of the prompt, brackets not included.
    """

    text: str
    weight: float
    span: Span


@dataclass(frozen=True, slots=True)
class Tag:
    """<kind:argument:name=argument>: what A1111's web UI takes out of a prompt and gives to whoever knows the kind.

    Attributes:
        kind: the word before the first colon.
        positional: the arguments without a name, as typed.
        named: the others.
        span: (start, end) in characters of the prompt.
    """

    kind: str
    positional: tuple[str, ...]
    named: Mapping[str, str] = field(hash=False)
    span: Span


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA that a prompt names. Nothing here loads it: that is `clipcond.apply_loras`'s business.

    Attributes:
        name: as typed.
        weight: its scale on the text encoder.
        unet_weight: its scale on the denoiser.
        span: (start, end) of the whole tag in characters of the prompt.
    """

    name: str
    weight: float
    unet_weight: float
    span: Span


@runtime_checkable
class Content(Protocol):
    """What a prompt says at each step."""

    @property
    def text(self) -> str:
        """All of it, with weights and schedules."""

    @property
    def is_scheduled(self) -> bool:
        """Whether it depends on the step."""

    def fragments(self, step: int, steps: int) -> tuple[Fragment, ...]:
        """What is said at a step, counted from 0."""

    def rows(self, steps: int) -> tuple[tuple[int, str], ...]:
        """(last step, text) of each change, steps counted from 1, weights still in the text."""

    def meaning(self) -> Hashable:
        """Equal for two contents that say the same at every step, wherever they stand in their sources."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same at every step.

    Attributes:
        text: with weights still in it.
        pieces: what it says.
    """

    text: str
    pieces: tuple[Fragment, ...]

    @property
    def is_scheduled(self) -> bool:
        """Never."""
        return False

    def fragments(self, step: int, steps: int) -> tuple[Fragment, ...]:  # noqa: ARG002 - the protocol's
        """All of it, always."""
        return self.pieces

    def rows(self, steps: int) -> tuple[tuple[int, str], ...]:
        """One row that lasts."""
        return ((steps, self.text),)

    def meaning(self) -> Hashable:
        """The texts and weights."""
        return tuple((piece.text, piece.weight) for piece in self.pieces)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prompt:
    """A parsed prompt. Two are equal when they say the same, however it was typed.

    Attributes:
        text: the source; every span counts its characters.
        dialect: the dialect it was read in.
        content: what it says; of several branches, only the text at each step.
        diagnostics: what looks like a mistake; empty for a clean prompt.
        loras: the LoRAs it names.
        tags: every tag in it, those of LoRAs among them.
        joined: how several branches are joined: "compose" (weighted in noise space), "blend" (the weighted sum of
            the embeddings) or "concat" (one after the other on the token axis, each weighted against the empty
            prompt); "" for a single branch.
        parts: several branches and their weights; empty for a single one.
        keywords: what stands before each branch but the first, where that tells how it is composed; see `operators`.
        untagged: see `without_tags`.
        separator: what stands between two fragments where they are read as one text; None where each is tokenised by
            itself.
    """

    text: str
    dialect: str
    content: Content
    diagnostics: tuple[Diagnostic, ...] = ()
    loras: tuple[Lora, ...] = ()
    tags: tuple[Tag, ...] = ()
    joined: str = ""
    parts: tuple[tuple["Prompt", float], ...] = ()
    untagged: "Prompt | None" = None
    separator: str | None = None
    keywords: tuple[str, ...] = ()

    @property
    def branches(self) -> tuple[tuple["Prompt", float], ...]:
        """The prompts that this one joins, and their final weights; itself alone where it joins none.

        A branch's text is its own part of the source, and its spans count the characters of that.
        """
        return self.parts or ((self, 1.0),)

    @property
    def operators(self) -> tuple[str, ...]:
        """How each of `branches` is composed: "AND", as the first always is, "AND_PERP", "AND_SALT" or "AND_TOPK"."""
        return ("AND", *self.keywords) if self.keywords else ("AND",) * len(self.branches)

    @property
    def is_scheduled(self) -> bool:
        """Whether the segments, of any branch, depend on the step."""
        if self.parts:
            return any(branch.is_scheduled for branch, _ in self.parts)
        return self.content.is_scheduled

    @property
    def without_tags(self) -> "Prompt":
        """The prompt with its tags taken out of the text, as an encoder should read it."""
        return self.untagged or self

    def fragments(self, step: int = 0, steps: int = 20) -> tuple[Fragment, ...]:
        """The weighted text at a denoising step, with its place in the source.

        Args:
            step: counted from 0; it takes the row of `schedule` with the smallest last step above it.
            steps: how many steps there are.

        Raises:
            ValueError: `step` is not one of `steps`.
            ClipcondError: there are several branches.
            PromptSyntaxError: weights that meet only at this step multiply to more than a number holds.
        """
        if not 0 <= step < steps:
            raise ValueError(f"step {step} is not among the steps 0 to {steps - 1}")
        if self.parts:
            raise ClipcondError(
                f"{shortened(self.text)!r} has {len(self.parts)} branches (joined: {self.joined!r}), each with "
                "segments of its own; read prompt.branches"
            )
        return self.content.fragments(step, steps)

    def segments(self, step: int = 0, steps: int = 20) -> tuple[Segment, ...]:
        """The weighted text at a denoising step; see `fragments`."""
        return tuple(Segment(f.text, f.weight) for f in self.fragments(step, steps))

    def schedule(self, steps: int = 20) -> tuple[tuple[int, str], ...]:
        """The text at each step as AUTOMATIC1111 counts: (last step, text), from 1, weights still in the text.

        Step s of `segments` uses the row with the smallest last step of at least s + 1. Of several branches, the rows
        are those of the whole text.

        Raises:
            ValueError: `steps` is less than 1.
        """
        if steps < 1:
            raise ValueError(f"{steps} steps; there must be at least 1")
        return self.content.rows(steps)

    def meaning(self) -> Hashable:
        """What equality compares: branches, operators, weights, texts at each step, LoRAs, tags; no spans or spelling."""
        inner = (
            tuple(
                (operator, weight, branch.meaning())
                for operator, (branch, weight) in zip(self.operators, self.parts, strict=True)
            )
            if self.parts
            else self.content.meaning()
        )
        loras = tuple((lora.name, lora.weight, lora.unet_weight) for lora in self.loras)
        tags = tuple((t.kind, t.positional, tuple(sorted(t.named.items()))) for t in self.tags)
        return self.joined, inner, loras, tags

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prompt):
            return NotImplemented
        return self.meaning() == other.meaning()

    def __hash__(self) -> int:
        return hash(self.meaning())

    def __repr__(self) -> str:
        rows = [f"Prompt({self.dialect}: {shortened(self.text)!r}"]
        for operator, (branch, weight) in zip(self.operators, self.branches, strict=True):
            if self.parts:
                how = operator if self.joined == "compose" else self.joined
                rows.append(f"  {how:<8} {weight:<8.4g} {shortened(branch.text)!r}")
            else:
                rows += [f"  {f.weight:<8.4g} {shortened(f.text)!r}" for f in self.fragments()]
            rows += [f"  {row}" for row in _shown_schedule(branch)]
        rows += [f"  lora {x.weight:.4g} {x.unet_weight:.4g} {x.name!r}" for x in self.loras]
        rows += [f"  note at {d.span[0]}: {d.message}" for d in self.diagnostics]
        return "\n".join(rows) + ")"


def stretches(rows: Iterable[tuple[int, T]]) -> Iterator[tuple[str, T]]:
    """The rows of a schedule as people read them: ("1-10", text), steps from 1, equal neighbours as one."""
    first = 1
    for what, same in groupby(rows, lambda row: row[1]):
        *_, (last, _) = same
        yield (str(first) if first == last else f"{first}-{last}"), what
        first = last + 1


def _shown_schedule(branch: Prompt) -> list[str]:
    """The stretches of a run of 20 steps, as many as a repr has room for; nothing where nothing changes."""
    if not branch.is_scheduled:
        return []
    found = list(stretches(branch.schedule(20)))
    shown = [f"{steps:>5} of 20: {shortened(text)!r}" for steps, text in found[:_MOST]]
    return shown + [f"and {len(found) - _MOST} changes more"] * (len(found) > _MOST)


def shortened(text: str, most: int = 60) -> str:
    """A text as messages show it."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
