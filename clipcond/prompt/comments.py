"""Comments, which the programs take out of a prompt before they read anything else.

    # to the end of the line        AUTOMATIC1111's web UI
    // to the end of the line       ComfyUI's page, in its text fields
    /* over several lines */        the same

Neither program has a way to write these signs as text, so what was probably meant as text is noted.
"""

import re
from collections.abc import Iterator

from clipcond.prompt.tree import Diagnostic, Span

# a line that is only a comment goes with its end, unless the line before it just did
_HASH = re.compile(r"\n#[^\n]*+\n|#[^\n]*+")
_SLASHES = re.compile(r"//[^\n\r\u2028\u2029]*+")
_SLASHES_OR_BLOCK = re.compile(rf"{_SLASHES.pattern}|/\*")
_MEANT_AS_TEXT = re.compile(r"(?<=\w)#|(?<=[^\n])#(?=\w)|#(?=\d)|(?<=[\w:])//")

_SHOWN = 40


def hashes(source: str) -> list[Span]:
    """The web UI's comments, from the sign on."""
    if "#" not in source:
        return []
    found = [comment.span() for comment in _HASH.finditer(source)]
    return [(start + (source[start] == "\n"), end) for start, end in found]


def slashes(source: str) -> list[Span]:
    """The page's comments."""
    return list(_slashes(source)) if "//" in source or "/*" in source else []


def _slashes(source: str) -> Iterator[Span]:
    pattern, at = _SLASHES_OR_BLOCK, 0
    while found := pattern.search(source, at):
        at = found.end()
        if found[0] == "/*":
            close = source.find("*/", at)
            if close < 0:  # it is text, and so is every later one
                pattern = _SLASHES
                continue
            at = close + 2
        yield found.start(), at


def notes(source: str, comments: list[Span]) -> list[Diagnostic]:
    """Those that were probably meant as text: "C# logo", "#1", "http://"."""
    found = [(_MEANT_AS_TEXT.match(source, start), start, end) for start, end in comments]
    return [
        Diagnostic(
            f"{sign[0]!r} begins a comment: {_shorten(source[start:end].rstrip())!r} is not read",
            (start, end),
            f"leave out {sign[0]!r} if this is text",
        )
        for sign, start, end in found
        if sign
    ]


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
