"""What the dialects' writers share: a prompt as pieces of text in a row, and numbers that every dialect reads."""

from collections.abc import Sequence
from decimal import Decimal

from clipcond.prompt.tree import Prompt, Segment


def flattened(prompt: Prompt) -> list[Segment]:
    """All branches one after the other, by commas."""
    flat: list[Segment] = []
    for branch, _ in prompt.branches:
        if flat:
            flat.append(Segment(", ", 1.0))
        flat += unbroken(pieces_of(branch))
    return flat


def pieces_of(branch: Prompt) -> list[Segment]:
    """The segments of the first step with what stands between them."""
    pieces: list[Segment] = []
    for segment in branch.segments():
        if pieces and branch.separator:
            pieces.append(Segment(branch.separator, 1.0))
        pieces.append(segment)
    return pieces


def unbroken(pieces: Sequence[Segment]) -> list[Segment]:
    """Breaks as blanks."""
    return [Segment(" ", 1.0) if piece.is_break else piece for piece in pieces]


def digits(value: float) -> str:
    """All its digits, without an exponent: no dialect but comfy reads one."""
    text = format(Decimal(repr(float(value))), "f")
    return text.removesuffix(".0")
