"""What every dialect limits and notes in the same words."""

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.tree import Diagnostic, Span

MAX_DEPTH = 200
HEAVY = 10.0


def refuse_depth(source: str, at: int) -> PromptSyntaxError:
    """The error for a bracket too many."""
    return PromptSyntaxError(
        f"brackets are nested deeper than {MAX_DEPTH}",
        source,
        (at, at + 1),
        "close some, or write a literal bracket with a backslash before it",
    )


def note_heavy(weight: float, span: Span) -> tuple[Diagnostic, ...]:
    """A number that was probably no weight, such as a year."""
    if abs(weight) < HEAVY:
        return ()
    return (
        Diagnostic(
            f"{weight:g} is read as a weight, far beyond any that helps",
            span,
            "weights lie between 0 and 2; escape or space the brackets if the number is text",
        ),
    )
