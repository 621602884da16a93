"""What a parsed prompt is: fragments of one weight each, in order, with their place in the source.

The tree is flat because the dialects' weights are: brackets may cross, and a fragment's weight is all that
remains of the brackets around it. It knows no dialect and no tokens.
"""

from dataclasses import dataclass
from typing import NamedTuple

_SHOWN = 60


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
    span: tuple[int, int]
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A run of text of one weight, escapes resolved.

    Attributes:
        text: what the encoder reads, or "BREAK".
        weight: the product of the brackets around it; -1 for a break outside brackets.
        span: (start, end) in characters of the prompt, brackets not included.
    """

    text: str
    weight: float
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A parsed prompt.

    Attributes:
        text: the source.
        dialect: the dialect it was read in.
        fragments: at least one, neighbours differing in weight.
        diagnostics: what looks like a mistake; empty for a clean prompt.
    """

    text: str
    dialect: str
    _fragments: tuple[Fragment, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    joined = ""
    is_scheduled = False

    @property
    def branches(self):
        return ((self, 1.0),)

    def fragments(self, step: int = 0, steps: int = 20):
        return self._fragments

    def segments(self, step: int = 0, steps: int = 20) -> tuple[Segment, ...]:
        """The weighted text at a denoising step.

        Args:
            step: counted from 0.
            steps: how many steps there are.

        Raises:
            ValueError: `step` is not one of `steps`.
        """
        if not 0 <= step < steps:
            raise ValueError(f"step {step} is not among the steps 0 to {steps - 1}")
        return tuple(Segment(f.text, f.weight) for f in self._fragments)

    def __repr__(self) -> str:
        head = f"Prompt({self.dialect}: {_shorten(self.text)!r}"
        rows = [f"  {f.weight:<8.4g} {_shorten(f.text)!r}" for f in self._fragments]
        rows += [f"  note at {d.span[0]}: {d.message}" for d in self.diagnostics]
        return "\n".join([head, *rows]) + ")"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
