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
_TAG = (
    re.compile(r"<\w++:[^<>]++>"),
    "a tag such as a LoRA tag is text here",
    "only a1111 takes <word:...> out, as data",
)
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

# --- nearly syntax, in any dialect that has some ---

# a name between double underscores: a file of `clipcond.expand`
WILDCARD = re.compile(r"__(?![_ ])((?:[^\W_]|[-./* ]|_(?!_))++)(?<! )__")
_NUMBER = r"[+-]?(?:\d++\.?+\d*+|\.\d++)"
_EXPAND = "clipcond.expand, or --wildcards on the command line, chooses before the prompt is read"

_UNREAD = (
    (re.compile(r"(?<!\\)\{[^{}|]*+\|[^{}]*+\}"), "a choice {a|b} is text here", _EXPAND),
    (WILDCARD, "a wildcard is text here", _EXPAND),
    (
        re.compile(r"[（［][^（）［］()\[\]]*+[）］)\]]?|[）］]"),  # noqa: RUF001 - they are what is meant
        "full-width brackets are text here and weigh nothing",
        "write the brackets of ASCII: ( and )",
    ),
)
# a colon and what is nearly a number, or a number and what is nearly a colon
_NEARLY_A_WEIGHT = re.compile(
    rf":(?!\s*+{_NUMBER}\s*+\))[\s.,;·．，'+*×x=%-]*+\d[\s.,;·．，'+*×x=%f\d-]*+[)）]"  # noqa: RUF001
    rf"|：\s*+{_NUMBER}\s*+[)）]|[;=]\s*+\d\.\d++\s*+\)"  # noqa: RUF001
)
_LATE_WEIGHT = rf"(?<=[)\]])\s*+:\s*+{_NUMBER}(?!\s*+[\d:)\]])"
_INSIDE = "write it inside: (words:1.3)"
_NEARLY = (
    (_NEARLY_A_WEIGHT, "this is no weight, and is read as text", "write (words:1.3)"),
    (
        re.compile(r"\([^()]*+(?<=[:;])\)|\([^()]*+(?<=[:;]-)\)"),
        "this bracket closes after a colon: neither a weight nor a face",
        "write a number after the colon, or \\) for the character itself",
    ),
    (
        re.compile(r"(?<![^\W\d])(?<![)\]\"']):[03-9]\s*+\)"),
        "a face or a ratio is read as a weight here",
        "give the bracket a weight of its own: (words, :3:1.1), or write \\( and \\)",
    ),
)

# what another dialect would read otherwise, and what is nearly syntax
_FOREIGN: dict[str, tuple[_Note, ...]] = {
    "a1111": (
        *_UNREAD,
        *_NEARLY,
        # at the end of a branch it is that branch's weight
        (
            re.compile(rf"{_LATE_WEIGHT}(?!\s*+(?:AND\b|\Z))"),
            "a weight after its bracket is text here",
            _INSIDE,
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
        _COMPEL_WEIGHT,
        (_OPERATOR, "compel's operators are text here", "read the prompt as compel"),
    ),
    "comfy": (
        *_UNREAD,
        *_NEARLY,
        (re.compile(_LATE_WEIGHT), "a weight after its bracket is text here", _INSIDE),
        _SQUARE,
        _BREAK,
        _AND,
        _TAG,
        _COMPEL_WEIGHT,
        (_OPERATOR, "compel's operators are text here", "read the prompt as compel"),
    ),
    "compel": (
        *_UNREAD,
        (_NEARLY_A_WEIGHT, "this is no weight, and is read as text", "write (words)1.3"),
        (re.compile(_LATE_WEIGHT), "a colon before a weight is text here", "write (words)1.3"),
        (
            re.compile(r"(?<=[)\"])\d++,\d"),
            "only what is before the comma is the weight",
            "write a full stop: (words)1.3",
        ),
        (_SQUARE[0], _SQUARE[1], "write (words)0.9 to weigh less; schedules are a1111's"),
        _BREAK,
        _AND,
        _TAG,
        _COLON_WEIGHT,
    ),
}


def foreign(source: str, dialect: str) -> list[Diagnostic]:
    """Syntax of another dialect that is text in this one, and what is nearly syntax."""
    return [
        Diagnostic(message, found.span(), hint)
        for pattern, message, hint in _FOREIGN[dialect]
        for found in pattern.finditer(source)
    ]
