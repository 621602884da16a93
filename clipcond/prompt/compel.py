"""compel's prompts, answered as compel 2.5.1 answers them, in linear time: what a whole prompt is.

    ("one", "two").blend(1, 0.5)  the weighted mean of the embeddings; with `no_normalize`, their weighted sum
    ("one", "two").and(1, 0.5)    one after the other on the token axis, each weighted against the empty prompt
    anything else                 text: `clipcond.prompt.compel_text`

What is unusual: `.blend` and `.and` join whole prompts, each in quotes, brackets or a single word, and are text
anywhere else. Four things differ on purpose: whatever follows `.and(...)`, which compel drops, and `.swap`, of which compel uses
only the first half, are errors; so are weights that sum to zero or are no numbers; and any blank separates words.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import hints
from clipcond.prompt.compel_text import QUOTE, Scanner, fragments_of
from clipcond.prompt.contract import Dialect
from clipcond.prompt.tree import Diagnostic, Fixed, Fragment, Lora, Prompt, Span
from clipcond.prompt.writing import digits, unbroken

_JOIN = re.compile(r"\)\s*+\.(blend|and|add)\s*+\(([^()]*+)\)")
_CALL = re.compile(r"[)\"]\s*+\.([A-Za-z_]++)\s*+\(")
_OPERATORS = ("blend", "and", "add", "attend")
_FLAG = "no_normalize"
_SYNTAX = re.compile(r'[()",.+\-=\\]')
_LORA_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Join:
    """An operator: its name, where it stands, and its arguments as typed."""

    name: str
    span: Span
    arguments: str


def read(source: str) -> Prompt:
    """Read a whole prompt.

    Raises:
        PromptSyntaxError: an operator whose weights do not fit its prompts, with text after it, or not supported; a
            weight that is no finite number; brackets nested deeper than `MAX_DEPTH`.
    """
    joined = _read_join(source) if _JOIN.search(source) else None
    if joined is not None:
        return joined
    scanner = Scanner(source, len(source))
    scanner.prompt(0)
    fragments, loras = fragments_of(scanner)
    foreign = hints.foreign(source, COMPEL.hints)
    notes = hints.in_order(scanner.notes, foreign, _call_notes(source))
    return Prompt(source, "compel", Fixed(source, fragments), notes, loras, separator=" ")


def _read_join(source: str) -> Prompt | None:
    """A prompt that joins others; None where it is not one."""
    scanner = Scanner(source, len(source))
    start = scanner.loras(0)
    if source[start : start + 1] != "(":
        return None
    parts, at = _targets(source, start + 1)
    found = _JOIN.match(source, at) if parts else None
    if found is None or (scanner.events and found[1] != "blend"):
        return None
    join = _Join(found[1], (source.index(".", at), found.end()), found[2])
    at = scanner.loras(found.end()) if join.name == "blend" else scanner.skip(found.end())
    if at == len(source):
        return _assemble(source, join, parts, fragments_of(scanner)[1])
    raise PromptSyntaxError(
        f"nothing may follow .{join.name}(...): compel drops it or refuses the prompt",
        source,
        (at, len(source)),
        "put it inside the brackets, as a prompt of its own or at the end of one",
    )


def _targets(source: str, at: int) -> tuple[list[tuple[Scanner, Span]], int]:
    """What stands between the brackets before an operator, and where they close; nothing where it is no list."""
    parts: list[tuple[Scanner, Span]] = []
    while True:
        scanner = Scanner(source, len(source))
        at = scanner.skip(at)
        target = _target(scanner, at)
        if target is None:
            return [], at
        scanner, span, at = target
        parts.append((scanner, span))
        at = Scanner(source, len(source)).skip(at)
        if source[at : at + 1] != ",":
            return parts, at
        at += 1


def _target(scanner: Scanner, at: int) -> tuple[Scanner, Span, int] | None:
    """One prompt: what was read, its span without quotes or brackets, and where it ends."""
    source = scanner.source
    if source[at : at + 1] not in ("(", '"'):
        after = scanner.word(at)
        return (scanner, (at, after), after) if after else None
    after = scanner.group(at, is_target=True)
    if after is not None:
        return scanner, (at + 1, after - 1), after
    quote = QUOTE.match(source, at)
    if quote is None:
        return None
    inside = Scanner(
        source, quote.end() - 1
    )  # not well formed as a bracket's inside: read as a prompt
    inside.prompt(at + 1)
    return inside, (at + 1, quote.end() - 1), quote.end()


def _assemble(
    source: str, join: _Join, parts: list[tuple[Scanner, Span]], loras: tuple[Lora, ...]
) -> Prompt:
    weights = _weights(source, join, len(parts))
    branches: list[tuple[Prompt, float]] = []
    notes: list[Diagnostic] = []
    for (scanner, (start, end)), weight in zip(parts, weights, strict=True):
        fragments, own_loras = fragments_of(scanner)
        loras += own_loras
        notes += scanner.notes
        text = source[start:end]
        pieces = tuple(Fragment(f.text, f.weight, _within(f.span, start, end)) for f in fragments)
        own = tuple(replace(note, span=_within(note.span, start, end)) for note in scanner.notes)
        branches.append((Prompt(text, "compel", Fixed(text, pieces), own, separator=" "), weight))
    return Prompt(
        source,
        "compel",
        Fixed(source, ()),
        hints.in_order(notes, hints.foreign(source, COMPEL.hints)),
        tuple(sorted(loras, key=lambda lora: lora.span)),
        joined="blend" if join.name == "blend" else "concat",
        parts=tuple(branches),
        separator=" ",
    )


def _within(span: Span, start: int, end: int) -> Span:
    """A span of the source as one of source[start:end]; what was read of nothing has no place of its own."""
    return max(span[0], start) - start, min(max(span[1], start), end) - start


def _weights(source: str, join: _Join, count: int) -> list[float]:
    """The final weights of an operator's prompts.

    Raises:
        PromptSyntaxError: they are not numbers, not as many as the prompts, or cannot be normalised.
    """
    arguments = [argument.strip() for argument in join.arguments.split(",")]
    is_blend = join.name == "blend"
    normalise = not (is_blend and arguments[-1] == _FLAG)
    given = arguments if normalise else arguments[:-1]
    try:
        weights = [float(argument) for argument in given if given != [""]]
    except ValueError:
        weights = [math.nan]
    problem = ""
    if not all(map(math.isfinite, weights)):
        problem = "takes numbers" + (f", and {_FLAG} at the end" if is_blend else "")
    elif weights and len(weights) != count:
        problem = f"has {len(weights)} weights for {count} prompts"
    weights = weights or [1.0] * count
    if not problem and is_blend and normalise:
        total = sum(weights)
        if total == 0 or not math.isfinite(total):
            problem = "divides by the sum of its weights, which is none"
        else:
            weights = [weight / total for weight in weights]
    if problem:
        raise PromptSyntaxError(
            f".{join.name}(...) {problem}",
            source,
            join.span,
            'write one weight for each prompt: ("one", "two").blend(1, 0.5)',
        )
    return weights


def _call_notes(source: str) -> list[Diagnostic]:
    """Operators that are text: in the wrong place, or of no such name."""
    notes = []
    for found in _CALL.finditer(source):
        name, span = found[1], (found.start(1) - 1, found.end())
        if name == "attend":
            continue
        if name in _OPERATORS:
            message = (
                f".{name}(...) is text here: it joins whole prompts, with nothing before or after"
            )
            hint = f'write the whole prompt as ("one", "two").{name}(1, 1)'
        else:
            close = get_close_matches(name, _OPERATORS, n=1)
            message = f"there is no operator .{name}: it is read as text"
            hint = f"did you mean .{close[0]}?" if close else "put a blank after the full stop"
        notes.append(Diagnostic(message, span, hint))
    return notes


def write(prompt: Prompt, loras: Sequence[Lora]) -> str:
    """Weights as (text)1.3; of `compose`, concatenation comes nearest. A weight below 0 becomes 0."""
    named = [
        f"withLora({lora.name}, {digits(lora.weight)})"
        for lora in loras
        if _LORA_NAME.fullmatch(lora.name)
    ]
    written = [_written(branch) for branch, _ in prompt.branches]
    if not prompt.joined:
        return " ".join([*written, *named])
    quoted = ", ".join(f'"{text}"' for text in written)
    weights = [digits(weight) for _, weight in prompt.branches]
    if prompt.joined == "blend":
        return " ".join([f"({quoted}).blend({', '.join(weights)}, {_FLAG})", *named])
    if named:  # nothing may stand beside .and
        quoted = f'{quoted[:-1]} {" ".join(named)}"'
    return f"({quoted}).and({', '.join(weights) if set(weights) != {'1'} else ''})"


def _written(branch: Prompt) -> str:
    """Word by word; what compel itself read keeps its empty words."""
    written = []
    for piece in unbroken(branch.segments()):
        words = piece.text.split(" ") if branch.separator else piece.text.split()
        if piece.weight == 1:
            written += [_word(word) for word in words]
        elif words:
            inner = " ".join(_escaped(word) or '""' for word in words)
            written.append(f"({inner}){digits(max(0.0, piece.weight))}")
    text = " ".join(written)
    return "" if text == '""' else text


def _word(word: str) -> str:
    """A word as compel reads it back outside brackets: escaped as far as that leaves it a word without weight."""
    if not word:
        return '""'
    if not _SYNTAX.search(word):
        return word
    first = f"\\{word}" if word[0] in '("' else word
    for spelling in (_escaped(word), first):
        scanner = Scanner(spelling, len(spelling))
        try:
            scanner.prompt(0)
        except PromptSyntaxError:
            continue
        said, loras = fragments_of(scanner)
        if not loras and [(f.text, f.weight) for f in said] == [(word, 1.0)]:
            return spelling
    return _escaped(word)


def _escaped(word: str) -> str:
    return re.sub(r'[()"]', r"\\\g<0>", word)


COMPEL = Dialect(
    name="compel",
    read=read,
    write=write,
    hints=(
        *hints.UNREAD,
        (hints.NEARLY_A_WEIGHT, "this is no weight, and is read as text", "write (words)1.3"),
        (re.compile(hints.LATE_WEIGHT), "a colon before a weight is text here", "write (words)1.3"),
        (
            re.compile(r"(?<=[)\"])\d++,\d"),
            "only what is before the comma is the weight",
            "write a full stop: (words)1.3",
        ),
        (*hints.SQUARE[:2], "write (words)0.9 to weigh less; schedules are a1111's"),
        hints.BREAK,
        hints.AND,
        hints.AND_PLUS,
        hints.TAG,
        hints.COLON_WEIGHT,
    ),
    joint=".and",
    least=0.0,
)
