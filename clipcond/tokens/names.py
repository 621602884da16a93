"""The words that stand for textual inversions, found in a text before it is tokenised."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Vectors:
    """A textual inversion, as far as tokens go.

    Attributes:
        names: the words for it, in any case; `embedding:name` is the same, as ComfyUI has it, also with a folder before
            the name or a file's ending after it.
        first: the id of its first vector; those of the others follow.
        count: how many it has.
    """

    names: tuple[str, ...]
    first: int
    count: int


@dataclass(frozen=True, eq=False)
class Names:
    """Finds inversions by their names.

    Attributes:
        inversions: at least one.
    """

    inversions: tuple[Vectors, ...]

    def parts(self, start: int, text: str) -> Iterator[tuple[int, str, Vectors | None]]:
        """(start, text, inversion) of the parts of a text that begins at `start`: names, and what is between; at least one."""
        at = 0
        for match in self._pattern.finditer(folded(text)):
            if at < match.start():
                yield start + at, text[at : match.start()], None
            at = match.end()
            name = match["name"] or match["file"]
            yield start + match.start(), text[match.start() : at], self._by_name[name]
        if at < len(text) or not at:
            yield start + at, text[at:], None

    @cached_property
    def _by_name(self) -> dict[str, Vectors]:
        """By every name; where two inversions share one, it is that of which it is the first."""
        others = {name: own for own in reversed(self.inversions) for name in own.names}
        found = others | {own.names[0]: own for own in self.inversions}
        return {folded(name): own for name, own in found.items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Any name, the longest first, never as a part of a longer word; for folded texts."""
        names = sorted(self._by_name, key=len, reverse=True)
        any_name = "|".join(
            rf"{_edge(name[0], '<!')}{re.escape(name)}{_edge(name[-1], '!')}" for name in names
        )
        return re.compile(
            rf"(?<!\w)embedding:(?:[^\s,/\\]+[/\\])*(?P<file>{any_name})(?:\.(?:safetensors|pt|bin)(?!\w))?"
            rf"|(?P<name>{any_name})"
        )


def folded(text: str) -> str:
    """A text without case, as long as before; what has no single small letter stays."""
    if text.isascii():
        return text.lower()
    return "".join(small if len(small := c.lower()) == 1 else c for c in text)


def _edge(character: str, look: str) -> str:
    """A look-around that keeps a name from matching inside a longer word."""
    return rf"(?{look}\w)" if re.match(r"\w", character) else ""
