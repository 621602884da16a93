"""What every dialect limits and notes in the same words."""

import re

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


_Note = tuple[re.Pattern[str], str, str]

_BREAK = (re.compile(r"\bBREAK\b"), "BREAK is a word here", "only a1111 ends a window at it")
_AND = (re.compile(r"\bAND\b"), "AND is a word here", "only a1111 composes prompts with it")
_LORA = (re.compile(r"<lora:[^<>]*+>"), "a LoRA tag is text here", "only a1111 reads it as data")
_OPERATOR = re.compile(r"[)\"]\s*+\.(?:and|blend|add|swap|attend)\s*+\(")
_COMPEL_WEIGHT = (
    re.compile(r"\)(?:\+++|--++|[0-9]*+\.[0-9]++)"),
    "compel's weight syntax is text here",
    "write (words:1.3)",
)
_SQUARE = (
    re.compile(r"\[[^\[\]]*+\]"),
    "square brackets are text here",
    "write (words:0.9) to weigh less; schedules are a1111's",
)
_COLON_WEIGHT = (
    re.compile(r":\s*+[+-]?[0-9.]++\s*+\)"),
    "A1111's weight syntax is text here",
    "write (words)1.3",
)

# what another dialect would read otherwise
_FOREIGN: dict[str, tuple[_Note, ...]] = {
    "a1111": (
        _COMPEL_WEIGHT,
        (_OPERATOR, "compel's operators are text here", "read the prompt as compel"),
    ),
    "comfy": (
        _SQUARE,
        _BREAK,
        _AND,
        _LORA,
        _COMPEL_WEIGHT,
        (_OPERATOR, "compel's operators are text here", "read the prompt as compel"),
    ),
    "compel": (
        (_SQUARE[0], _SQUARE[1], "write (words)0.9 to weigh less; schedules are a1111's"),
        _BREAK,
        _AND,
        _LORA,
        _COLON_WEIGHT,
    ),
}


def foreign(source: str, dialect: str) -> list[Diagnostic]:
    """Syntax of another dialect that is text in this one."""
    return [
        Diagnostic(message, found.span(), hint)
        for pattern, message, hint in _FOREIGN[dialect]
        for found in pattern.finditer(source)
    ]
