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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, cast

from transformers import PreTrainedTokenizerFast

from clipcond.prompt import Segment
from clipcond.tokens.backend import Piece, backend_of, covered
from clipcond.tokens.chunks import Frame, Ids, Side, Token
from clipcond.tokens.names import Names, Vectors, folded

_BLANKS = " \t\r\n"


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


@dataclass(frozen=True, eq=False)
class PromptTokenizer:
    """A transformers tokenizer, adapted once: texts in, weighted tokens out.

    Attributes:
        tokenizer: transformers' (fast) CLIPTokenizer, T5Tokenizer, BertTokenizer or GemmaTokenizer.
        length: positions of a window, BOS and EOS included.
        windowed: whether the encoder reads windows of that length only (CLIP), or longer rows as well (the others).
        inversions: words with vectors of their own; where several names fit, the longest counts.
    """

    tokenizer: PreTrainedTokenizerFast
    length: int
    windowed: bool = True
    inversions: tuple[Vectors, ...] = ()

    @cached_property
    def frame(self) -> Frame:
        """How a window is filled up around its content."""
        t = self.tokenizer
        if self.windowed:
            head, tail = _given(t.bos_token_id), _given(t.eos_token_id)
        else:
            head, tail = self._ends
        side: Side = "left" if not self.windowed and t.padding_side == "left" else "right"
        return Frame(head=head, tail=tail, pad=t.pad_token_id, length=self.length, side=side)

    def frame_of(self, line: Line) -> Frame:  # noqa: ARG002 the same for all
        """What is around a line's tokens."""
        return self.frame

    @cached_property
    def _ends(self) -> tuple[Ids, Ids]:
        """What the tokenizer puts before and after a text: T5's has no BOS, Gemma's no EOS, BERT's other names."""
        own = backend_of(self.tokenizer)
        (bare,), (framed,) = own.encode([["a"]]), own.encode([["a"]], special=True)
        ids = tuple(piece.id for piece in framed)
        before = ids.index(bare[0].id)
        after = len(ids) - before - len(bare)
        return ids[: min(before, 1)], ids[-1:] if after else ()

    @cached_property
    def comma(self) -> int | None:
        """The id of a comma that ends a word; in a vocabulary without one, an id that is no content."""
        return cast(int | None, self.tokenizer.convert_tokens_to_ids(",</w>"))

    @cached_property
    def mask(self) -> int:
        """The id that stands in for a masked word: CLIP's "+", as in ComfyUI_ADV_CLIP_emb (266), BERT's and Gemma's
        own, T5's padding.
        """
        t = self.tokenizer
        plus = backend_of(t).plain.token_to_id("+</w>")  # get_vocab() copies all of it: 20 ms
        found = (plus, t.mask_token_id, t.pad_token_id)
        token: int = next(token for token in found if token is not None)
        return token

    @property
    def pad_text(self) -> str:
        """What the padding token looks like in text."""
        return str(self.tokenizer.pad_token)

    @cached_property
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
        loaded = {folded(name) for name in self.tokenizer.get_added_vocab()}
        known = {start for start, _, own in self._parts(line) if own}
        return [
            (start, end)
            for start, end, name in asked
            if start not in known and folded(name) not in loaded
        ]

    def _parts(self, line: Line) -> list[tuple[int, str, Vectors | None]]:
        """(start, text, inversion) of what is tokenised by itself: parts that name an inversion, and what is between."""
        if not self.inversions:
            return [(start, text, None) for start, text in line.runs]
        return [part for start, text in line.runs for part in self._names.parts(start, text)]

    @cached_property
    def _names(self) -> Names:
        return Names(self.inversions)

    def _loaded_units(self) -> dict[int, Ids]:
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

    @cached_property
    def _reserved(self) -> set[int]:
        t, frame = self.tokenizer, self.frame
        padding = () if frame.tail else (frame.pad,)  # nothing else tells it from content
        return {t.bos_token_id, t.eos_token_id, *frame.head, *frame.tail, *padding} - {None}


def _given(token: int | None) -> Ids:
    return () if token is None else (token,)


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

    ids: Ids
    start: int
    end: int
    group: int = 0


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
