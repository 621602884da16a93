"""Segments to weighted tokens.

What is unusual: a text is parted where its weight changes, and only there, and each part is tokenised by itself, as
AUTOMATIC1111 and ComfyUI do; each token then finds its weight by the characters it covers. So a prompt whose weights are
all 1 has the tokens of the plain text. Elsewhere no token has two weights, and a word in which the weight changes is two
words: `red(blue:1.2)` is never "redblue". Where a dialect puts something between its fragments (compel's blanks), the
joined text is tokenised as one.

Textual inversions are words with vectors of their own. Those given to `PromptTokenizer` are found in the text before it
is tokenised; those that a pipeline has loaded are tokens of its tokenizer, `<cat>`, `<cat>_1`, ..., of which a text
names the first.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from clipcond.prompt import Segment
from clipcond.tokens.backend import Piece, backend_of
from clipcond.tokens.chunks import Frame, Token

_BLANKS = " \t\r\n"
_BLANK_PIECE = "\u2581"  # what sentencepiece writes for a blank


class Line(NamedTuple):
    """The segments between two breaks, as one text.

    Attributes:
        text: the segments' texts, joined.
        pieces: (end, weight) of each segment in characters of `text`, ends rising.
        first: the number of its first segment in the prompt, from 1.
    """

    text: str
    pieces: tuple[tuple[int, float], ...]
    first: int = 1

    @property
    def runs(self) -> list[tuple[int, str]]:
        """(start, text) of each part that is tokenised by itself; at least one.

        Blanks before a border go to what follows: language models have them in the token of the next word, and to
        other tokenizers they are nothing there.
        """
        cuts, begin = [0], 0
        for (end, weight), (_, following) in pairwise(self.pieces):
            cut = begin + len(self.text[begin:end].rstrip(_BLANKS))
            if weight != following and cut > cuts[-1]:
                cuts.append(cut)
            begin = end
        edges = [*cuts, max(len(self.text), cuts[-1])]
        return [(start, self.text[start:end]) for start, end in pairwise(edges)]


class JoinedLine(Line):
    """A line whose segments the dialect joins with something of its own, so that it is tokenised as one text."""

    __slots__ = ()

    @property
    def runs(self) -> list[tuple[int, str]]:
        """All of it."""
        return [(0, self.text)]


def lines_of(segments: Sequence[Segment], separator: str | None = None) -> tuple[Line, ...]:
    """Join the segments between breaks, with what the dialect puts between them (None: nothing, each is tokenised by
    itself); at least one line.
    """
    groups: list[list[Segment]] = [[]]
    firsts = [1]
    for number, segment in enumerate(segments, start=1):
        if segment.is_break:
            groups.append([])
            firsts.append(number + 1)
        else:
            groups[-1].append(segment)
    return tuple(
        _join(group, separator, first) for group, first in zip(groups, firsts, strict=True)
    )


def _join(segments: Sequence[Segment], separator: str | None, first: int) -> Line:
    between = separator or ""
    end, pieces = -len(between), []
    for segment in segments:
        end += len(between) + len(segment.text)
        pieces.append((end, segment.weight))
    kind = Line if separator is None else JoinedLine
    return kind(between.join(s.text for s in segments), tuple(pieces), first)


class Vectors(NamedTuple):
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
class PromptTokenizer:
    """A transformers tokenizer, adapted once: texts in, weighted tokens out.

    Attributes:
        tokenizer: transformers' (fast) CLIPTokenizer, T5Tokenizer, BertTokenizer or GemmaTokenizer.
        length: positions of a window, BOS and EOS included.
        windowed: whether the encoder reads windows of that length only (CLIP), or longer rows as well (the others).
        inversions: words with vectors of their own; where several names fit, the longest counts.
    """

    tokenizer: Any
    length: int
    windowed: bool = True
    inversions: tuple[Vectors, ...] = ()

    @property
    def frame(self) -> Frame:
        """How a window is filled up around its content."""
        t = self.tokenizer
        if self.windowed:
            return Frame(t.bos_token_id, t.eos_token_id, t.pad_token_id, self.length)
        return Frame(*self._ends, t.pad_token_id, self.length, t.padding_side == "left")

    @cached_property
    def _ends(self) -> tuple[int | None, int | None]:
        """Ids that the tokenizer puts before and after a text: T5's has no BOS, Gemma's no EOS, BERT's other names."""
        own = backend_of(self.tokenizer)
        (bare,), (framed,) = own.encode([["a"]]), own.encode([["a"]], special=True)
        ids = [piece.id for piece in framed]
        before = ids.index(bare[0].id)
        after = len(ids) - before - len(bare)
        return ids[0] if before else None, ids[-1] if after else None

    @property
    def comma(self) -> int | None:
        """The id of a comma that ends a word; in a vocabulary without one, an id that is no content."""
        return self.tokenizer.convert_tokens_to_ids(",</w>")

    @property
    def mask(self) -> int:
        """The id that stands in for a masked word: CLIP's "+", as in ComfyUI_ADV_CLIP_emb (266), BERT's and Gemma's
        own, T5's padding.
        """
        t = self.tokenizer
        found = (t.get_vocab().get("+</w>"), t.mask_token_id, t.pad_token_id)
        return next(token for token in found if token is not None)

    @property
    def pad_text(self) -> str:
        """What the padding token looks like in text."""
        return str(self.tokenizer.pad_token)

    @property
    def unknown(self) -> int | None:
        """The id that stands for whatever is not in the vocabulary; None where nothing is not (CLIP reads bytes)."""
        found = self.tokenizer.unk_token_id
        return None if found in self._reserved else found

    def __call__(self, lines: Sequence[Line]) -> list[tuple[Token, ...]]:
        """Tokenise every line, in one call.

        A typed special token such as <|endoftext|> or </s> stays text. The one exception follows the pipelines: where
        the padding token is a character that people type ("!" in SD2), that character is the padding token.
        """
        parts = [self._parts(line) for line in lines]
        words = iter(self._words([text for found in parts for _, text, own in found if not own]))
        own_units = self._loaded_units()
        tokens = []
        for line, found in zip(lines, parts, strict=True):
            units: list[Unit] = []
            for group, (start, text, own) in enumerate(found):
                if own:
                    ids = tuple(range(own.first, own.first + own.count))
                    units.append(Unit(ids, start, start + len(text), group))
                    continue
                pieces = next(words)
                for piece, (first, end) in zip(pieces, covered(text, pieces), strict=True):
                    ids = own_units.get(piece.id, (piece.id,))
                    units.append(Unit(ids, start + first, start + end, group))
            tokens.append(weighted(line, units))
        return tokens

    def unmet(self, line: Line) -> list[tuple[int, int]]:
        """Where a text asks, as ComfyUI has it, for an `embedding:name` that is not known here."""
        asked = embeddings_asked(line)
        if not asked:
            return []
        loaded = self.tokenizer.get_added_vocab()
        known = {start for start, _, own in self._parts(line) if own}
        return [
            (start, end) for start, end, name in asked if start not in known and name not in loaded
        ]

    def _parts(self, line: Line) -> list[tuple[int, str, Vectors | None]]:
        """(start, text, inversion) of what is tokenised by itself: parts that name an inversion, and what is between."""
        if not self.inversions:
            return [(start, text, None) for start, text in line.runs]
        return [part for start, text in line.runs for part in self._named(start, text)]

    def _named(self, start: int, text: str) -> Iterator[tuple[int, str, Vectors | None]]:
        at = 0
        for match in self._names.finditer(folded(text)):
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
    def _names(self) -> re.Pattern[str]:
        """Any name, the longest first, never as a part of a longer word; for folded texts."""
        names = sorted(self._by_name, key=len, reverse=True)
        any_name = "|".join(
            rf"{_edge(name[0], '<!')}{re.escape(name)}{_edge(name[-1], '!')}" for name in names
        )
        return re.compile(
            rf"(?<!\w)embedding:(?:[^\s,/\\]+[/\\])*(?P<file>{any_name})(?:\.(?:safetensors|pt|bin)(?!\w))?"
            rf"|(?P<name>{any_name})"
        )

    def _loaded_units(self) -> dict[int, tuple[int, ...]]:
        """Id of the first vector -> ids of all, of the inversions that the tokenizer itself has several tokens for."""
        added = self.tokenizer.get_added_vocab()
        units = {}
        for name, first in added.items():
            ids = [first]
            while (following := added.get(f"{name}_{len(ids)}")) is not None:
                ids.append(following)
            if len(ids) > 1:
                units[first] = tuple(ids)
        return units

    def _words(self, texts: list[str]) -> list[list[Piece]]:
        own = backend_of(self.tokenizer)
        encodings = own.encode([[text] for text in texts])
        typed = [
            i for i, found in enumerate(encodings) if self._reserved & {piece.id for piece in found}
        ]
        if typed:
            split = own.encode([[texts[i]] for i in typed], split=True)
            for i, encoding in zip(typed, split, strict=True):
                encodings[i] = encoding
        return encodings

    @property
    def _reserved(self) -> set[int]:
        t, frame = self.tokenizer, self.frame
        padding = (
            t.pad_token_id if frame.eos is None else None
        )  # nothing else tells it from content
        return {t.bos_token_id, t.eos_token_id, frame.bos, frame.eos, padding} - {None}


_ASKED = re.compile(r"(?<!\S)embedding:([^\s,]\S*?)(?=,*(?:\s|$))")


def embeddings_asked(line: Line) -> list[tuple[int, int, str]]:
    """(start, end, name) of each `embedding:name` in a text; commas after it are none of it, as in ComfyUI."""
    if "embedding:" not in line.text:
        return []
    return [
        (start + found.start(), start + found.end(), found[1])
        for start, text in line.runs
        for found in _ASKED.finditer(text)
    ]


class Unit(NamedTuple):
    """The ids that stand together for some characters.

    Attributes:
        ids: several for a textual inversion.
        start: where the characters begin, in the text of the line.
        end: where they end.
        group: the number of the part that was tokenised by itself.
    """

    ids: tuple[int, ...]
    start: int
    end: int
    group: int = 0


def folded(text: str) -> str:
    """A text without case, as long as before; what has no single small letter stays."""
    if text.isascii():
        return text.lower()
    return "".join(small if len(small := c.lower()) == 1 else c for c in text)


def _edge(character: str, look: str) -> str:
    """A look-around that keeps a name from matching inside a longer word."""
    return rf"(?{look}\w)" if re.match(r"\w", character) else ""


def covered(text: str, pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """(start, end) of the characters that each piece stands for, without blanks before them.

    What a tokenizer drops on its way, such as an accent that it joins with its letter, goes to the piece before it, and
    at the beginning of a word to the one after it. A piece that is nothing but a blank that nobody typed has none.
    """
    spans: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        start, end = _trimmed(text, piece.start, piece.end)
        if not piece.token.strip(_BLANK_PIECE) and not text[start:end].isspace():
            end = start
        before, after = _dropped(text[at:start])
        if spans:
            _extend(spans, at, before)
        elif before == start:  # no blank in between
            after = before
        spans.append((start - after, end))
        at = max(at, end)
    _extend(spans, at, _dropped(text[at:])[0])
    return spans


def _dropped(gap: str) -> tuple[int, int]:
    """How many characters of what no piece covers touch the piece before, and how many only the one after."""
    words = gap.split()
    if not words:
        return 0, 0
    before = 0 if gap[0].isspace() else len(words[0])
    return before, 0 if gap[-1].isspace() or before == len(gap) else len(words[-1])


def _extend(spans: list[tuple[int, int]], end: int, by: int) -> None:
    """Let the last pieces, those that end together, end later."""
    i = len(spans) - 1
    while by and i >= 0 and spans[i][1] == end:
        spans[i] = (spans[i][0], end + by)
        i -= 1


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the blanks before a word, which are part of its token but not of the weight's text."""
    blanks = len(text[start:end]) - len(text[start:end].lstrip())
    return (start, end) if blanks == end - start else (start + blanks, end)


def weighted(line: Line, units: Sequence[Unit]) -> tuple[Token, ...]:
    """Give each token the weight of the segment that its characters begin in; one pass, offsets rise."""
    tokens: list[Token] = []
    piece = 0
    for ids, start, end, group in units:
        while piece + 1 < len(line.pieces) and line.pieces[piece][0] <= start:
            piece += 1
        weight = line.pieces[piece][1]
        text = line.text[start:end]
        for number, token_id in enumerate(ids):
            span = 0 if number else len(ids)
            tokens.append(Token(token_id, weight, text, start, line.first + piece, span, group))
    return tuple(tokens)
