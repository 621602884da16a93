"""What became of each word of a prompt: its tokens, weights and window, what was cut, what looks like a mistake."""

from dataclasses import dataclass

from clipcond.errors import point_at
from clipcond.prompt import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedToken:
    """A token the encoder saw.

    Attributes:
        text: the characters it covers, as typed.
        id: in the tokenizer's vocabulary.
        weight: what the weighting mode was told.
        chunk: the window it is in, from 0.
    """

    text: str
    id: int
    weight: float
    chunk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReport:
    """One prompt as the encoder saw it.

    Attributes:
        text: as typed.
        tokens: its content, in order.
        chunks: how many windows it took.
        cut: what was dropped, as typed; "" if nothing.
        notes: what looks like a mistake.
    """

    text: str
    tokens: tuple[ReportedToken, ...]
    chunks: int
    cut: str
    notes: tuple[Diagnostic, ...]

    def __str__(self) -> str:
        lines = []
        for number in range(self.chunks):
            words = (_shown(t) for t in self.tokens if t.chunk == number)
            lines.append(f"{number + 1}/{self.chunks}: {' '.join(words) or '(empty)'}")
        if self.cut:
            lines.append(f"cut: {self.cut!r}")
        lines += [f"note: {n.message}\n{point_at(self.text, n.span)}" for n in self.notes]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every prompt of a call.

    Attributes:
        prompts: the positive ones, in order.
        negative_prompts: the negative ones, as many.
    """

    prompts: tuple[PromptReport, ...]
    negative_prompts: tuple[PromptReport, ...]

    def __str__(self) -> str:
        return "\n".join(
            f"{side} {number}:\n{report}"
            for side, reports in (("prompt", self.prompts), ("negative", self.negative_prompts))
            for number, report in enumerate(reports)
        )


def _shown(token: ReportedToken) -> str:
    return token.text if token.weight == 1 else f"{token.text}({token.weight:.3g})"
