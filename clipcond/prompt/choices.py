"""What a prompt leaves open: text, brackets of options and names of wildcards, read in one pass.

A backslash before `{`, `}` or a whole `__name__`, and in a bracket before `|`, makes it text; others stay as typed.
"""

import re
from dataclasses import dataclass, field

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.hints import MAX_DEPTH, WILDCARD, refuse_depth
from clipcond.prompt.tree import Span

_TOKEN = re.compile(
    rf"\\{WILDCARD.pattern}|\\.|\$\{{|[{{}}|]|{WILDCARD.pattern}|[^\\${{}}|_]++|.", re.DOTALL
)
_COUNT = re.compile(r"\s*+(?:([0-9]{1,9})?(-)([0-9]{1,9})?|([0-9]{1,9}))\$\$(?:([^${}]*+)\$\$)?")
_WEIGHT = re.compile(r"\s*+([0-9]++\.?+[0-9]*+|\.[0-9]++)::")


@dataclass(frozen=True, slots=True)
class Name:
    """A wildcard.

    Attributes:
        name: of its file, without the suffix.
        span: where it stands.
    """

    name: str
    span: Span


@dataclass(slots=True, eq=False)
class Choice:
    """A bracket.

    Attributes:
        span: where it stands; closed or not, it begins with its opening sign.
        options: what it has between `|`.
        weights: how often each is taken, against the others.
        least: how many are taken at least.
        most: and at most; None: all.
        joiner: what is written between them.
    """

    span: Span
    options: list[list["Node"]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    least: int = 1
    most: int | None = 1
    joiner: str = ", "


Node = str | Name | Choice


def read(source: str) -> list[Node]:
    """The text, brackets and wildcards of a source.

    Raises:
        PromptSyntaxError: a bracket is not closed, closes nothing, or takes an impossible number; a variable; brackets
            nested deeper than `MAX_DEPTH`.
    """
    nodes: list[Node] = []
    inside: list[Choice] = []
    at = 0
    while found := _TOKEN.match(source, at):
        into = inside[-1].options[-1] if inside else nodes
        token, (start, at) = found[0], found.span()
        if token == "{":
            if len(inside) >= MAX_DEPTH:
                raise refuse_depth(source, start)
            choice = Choice((start, at))
            into.append(choice)
            inside.append(choice)
            at = _begin_option(choice, source, _read_count(choice, source, at))
        elif token == "}":
            _close(inside, source, at)
        elif token == "|" and inside:
            at = _begin_option(inside[-1], source, at)
        elif token == "${":
            raise _refuse(source, (start, at), "variables are not known here", "write the words")
        elif name := found[2]:
            into.append(Name(name, found.span()))
        else:
            is_escape = found[1] or token in ("\\{", "\\}") or (token == "\\|" and inside)
            into.append(token[1:] if is_escape else token)
    if inside:
        at = inside[-1].span[0]
        hint = "close it with }, or write \\{ for the character itself"
        raise _refuse(source, (at, at + 1), "'{' is never closed", hint)
    return nodes


def _close(inside: list[Choice], source: str, at: int) -> None:
    if not inside:
        hint = "leave it out, or write \\} for the character itself"
        raise _refuse(source, (at - 1, at), "'}' closes nothing", hint)
    choice = inside.pop()
    choice.span = choice.span[0], at


def _read_count(choice: Choice, source: str, at: int) -> int:
    """Read `2$$`, `1-2$$` or `2$$ and $$`; returns where the first option begins."""
    count = _COUNT.match(source, at)
    if count is None:
        return at
    least, is_range, most, exact, joiner = count.groups()
    choice.least = int(exact or least or 1)
    choice.most = int(exact or most) if exact or most else None
    if is_range and choice.most is not None and choice.most < choice.least:
        raise _refuse(
            source, count.span(), "this takes at least more than at most", "write the smaller first"
        )
    choice.joiner = choice.joiner if joiner is None else joiner
    return count.end()


def _begin_option(choice: Choice, source: str, at: int) -> int:
    """Read `0.7::`; returns where the option's text begins."""
    weight = _WEIGHT.match(source, at)
    choice.options.append([])
    choice.weights.append(float(weight[1]) if weight else 1.0)
    return weight.end() if weight else at


def _refuse(source: str, span: Span, message: str, hint: str) -> PromptSyntaxError:
    return PromptSyntaxError(message, source, span, hint)
