"""A text made of slices of a source, which knows where each of its characters came from."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.tree import Diagnostic, Fragment, Span


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Slices of a source, joined.

    Attributes:
        text: the joined slices.
        source: what spans refer to.
        starts: where each slice begins in `text`, rising.
        places: where each slice begins in `source`, rising.
    """

    text: str
    source: str
    starts: tuple[int, ...]
    places: tuple[int, ...]

    @classmethod
    def whole(cls, source: str) -> "Excerpt":
        """All of a source."""
        return cls(source, source, (0,), (0,))

    @property
    def is_whole(self) -> bool:
        """Whether spans need no moving."""
        return self.text is self.source

    def cut(self, spans: Iterable[Span]) -> "Excerpt":
        """Keep only these spans of the text, in order."""
        parts: list[str] = []
        starts: list[int] = []
        places: list[int] = []
        length = 0
        for start, end in spans:
            for own, place in self._slices(start, end):
                starts.append(length + own - start)
                places.append(place)
            parts.append(self.text[start:end])
            length += end - start
        return Excerpt("".join(parts), self.source, tuple(starts) or (0,), tuple(places) or (0,))

    def without(self, spans: Sequence[Span]) -> "Excerpt":
        """Leave these spans of the text out."""
        if not spans:
            return self
        edges = [0, *(at for span in spans for at in span), len(self.text)]
        return self.cut(zip(edges[::2], edges[1::2], strict=True))

    def part(self, span: Span) -> "Excerpt":
        """A span of the text, with what it covers of the source as its own source."""
        begin, end = self.place(span)
        inner = self.cut([span])
        source = self.source[begin:end]
        if inner.text == source:
            return Excerpt.whole(source)
        return Excerpt(inner.text, source, inner.starts, tuple(p - begin for p in inner.places))

    def _slices(self, start: int, end: int) -> Iterable[tuple[int, int]]:
        """(where in the text, where in the source) of each slice that [start, end) touches."""
        if self.is_whole:
            yield start, start
            return
        first = self._slice_at(start)
        yield start, self.places[first] + start - self.starts[first]
        for i in range(first + 1, len(self.starts)):
            if self.starts[i] >= end:
                return
            yield self.starts[i], self.places[i]

    def _slice_at(self, at: int) -> int:
        return max(0, bisect_right(self.starts, at) - 1)

    def place(self, span: Span) -> Span:
        """Where a span of the text is in the source; it covers what was left out in between."""
        if self.is_whole:
            return span
        start, end = span
        first = self._slice_at(start)
        begin = self.places[first] + start - self.starts[first]
        if end <= start:
            return begin, begin
        last = self._slice_at(end - 1)
        return begin, self.places[last] + end - self.starts[last]

    def place_fragments(self, fragments: tuple[Fragment, ...]) -> tuple[Fragment, ...]:
        """Fragments of the text as fragments of the source."""
        if self.is_whole:
            return fragments
        return tuple(Fragment(f.text, f.weight, self.place(f.span)) for f in fragments)

    def place_notes(self, notes: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Diagnostics of the text as diagnostics of the source."""
        return tuple(replace(note, span=self.place(note.span)) for note in notes)

    def place_error(self, error: PromptSyntaxError) -> PromptSyntaxError:
        """An error about the text as one about the source."""
        return PromptSyntaxError(error.message, self.source, self.place(error.span), error.hint)
