"""What every dialect limits and notes in the same words."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.tree import Diagnostic, Span, shortened

MAX_DEPTH = 200
HEAVY = 10.0
_MEANT_AS_TEXT = re.compile(r"(?<=\w)#|(?<=[^\n])#(?=\w)|#(?=\d)|(?<=[\w:])//")


def refuse_depth(source: str, at: int) -> PromptSyntaxError:
    """The error for a bracket too many."""
    return PromptSyntaxError(
        f"brackets are nested deeper than {MAX_DEPTH}",
        source,
        (at, at + 1),
        "close some, or write a literal bracket with a backslash before it",
    )


def refuse_overflow(source: str, span: Span) -> PromptSyntaxError:
    """The error for nested brackets whose weights cannot be multiplied."""
    return PromptSyntaxError(
        "the weights of these nested brackets multiply to more than a number holds",
        source,
        span,
        "lower them: weights beyond 2 rarely help",
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


Hint = tuple[re.Pattern[str], str, str]  # what is looked for, what is said of it, the repair

# --- the syntax of one dialect, where it is text in another ---

BREAK = (re.compile(r"\bBREAK\b"), "BREAK is a word here", "only a1111 ends a window at it")
AND = (re.compile(r"\bAND\b"), "AND is a word here", "only a1111 composes prompts with it")
AND_PLUS = (
    re.compile(r"\bAND_(?:PERP|SALT|TOPK)\b"),
    "AND_PERP, AND_SALT and AND_TOPK are words here",
    'take dialect="a1111+", which composes prompts with them',
)
TAG = (
    re.compile(r"<\w++:[^<>]++>"),
    "a tag such as a LoRA tag is text here",
    "only a1111 takes <word:...> out, as data",
)
COMPEL_OPERATOR = (
    re.compile(r"[)\"]\s*+\.(?:and|blend|add|swap|attend)\s*+\("),
    "compel's operators are text here",
    "read the prompt as compel",
)
COMPEL_WEIGHT = (
    re.compile(r"\)(?:\+++|--++|[0-9]*+\.[0-9]++)"),
    "compel's weight syntax is text here",
    "write (words:1.3)",
)
SQUARE = (
    re.compile(r"\[[^\[\]]*+\]"),
    "square brackets are text here",
    "write (words:0.9) to weigh less; schedules are a1111's",
)
COLON_WEIGHT = (
    re.compile(r":\s*+[+-]?[0-9.]++\s*+\)"),
    "A1111's weight syntax is text here",
    "write (words)1.3",
)

# --- nearly syntax, in any dialect that has some ---

# a name between double underscores: a file of `clipcond.expand`
WILDCARD = re.compile(r"__(?![_ ])((?:[^\W_]|[-./* ]|_(?!_))++)(?<! )__")
_NUMBER = r"[+-]?(?:\d++\.?+\d*+|\.\d++)"
_EXPAND = "clipcond.expand, or --wildcards on the command line, chooses before the prompt is read"

UNREAD = (
    (re.compile(r"(?<!\\)\{[^{}|]*+\|[^{}]*+\}"), "a choice {a|b} is text here", _EXPAND),
    (WILDCARD, "a wildcard is text here", _EXPAND),
    (
        re.compile(r"[（［][^（）［］()\[\]]*+[）］)\]]?|[）］]"),  # noqa: RUF001 - they are what is meant
        "full-width brackets are text here and weigh nothing",
        "write the brackets of ASCII: ( and )",
    ),
)
# a colon and what is nearly a number, or a number and what is nearly a colon
NEARLY_A_WEIGHT = re.compile(
    rf":(?!\s*+{_NUMBER}\s*+\))[\s.,;·．，'+*×x=%-]*+\d[\s.,;·．，'+*×x=%f\d-]*+[)）]"  # noqa: RUF001
    rf"|：\s*+{_NUMBER}\s*+[)）]|[;=]\s*+\d\.\d++\s*+\)"  # noqa: RUF001
)
LATE_WEIGHT = rf"(?<=[)\]])\s*+:\s*+{_NUMBER}(?!\s*+[\d:)\]])"
INSIDE = "write it inside: (words:1.3)"
NEARLY = (
    (NEARLY_A_WEIGHT, "this is no weight, and is read as text", "write (words:1.3)"),
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


def in_order(*notes: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By their places in the source."""
    return tuple(sorted(chain(*notes), key=lambda note: note.span))


def foreign(source: str, hints: Sequence[Hint]) -> list[Diagnostic]:
    """Syntax of another dialect that is text in this one, and what is nearly syntax."""
    return [
        Diagnostic(message, found.span(), repair)
        for pattern, message, repair in hints
        for found in pattern.finditer(source)
    ]


def note_comments(source: str, comments: Sequence[Span]) -> list[Diagnostic]:
    """Those that were probably meant as text, which no program has a way to write: "C# logo", "#1", "http://"."""
    found = [(_MEANT_AS_TEXT.match(source, start), start, end) for start, end in comments]
    return [
        Diagnostic(
            f"{sign[0]!r} begins a comment: {shortened(source[start:end].rstrip(), 40)!r} is not read",
            (start, end),
            f"leave out {sign[0]!r} if this is text",
        )
        for sign, start, end in found
        if sign
    ]
