"""Segments to weighted tokens.

What is unusual: segments are joined and tokenised as one text, and each token finds its weight by the characters it
covers. So weights never change what the tokens are: a prompt whose weights are all 1 has the tokens of the plain
text, and they move smoothly away from it.

Textual inversions are words with vectors of their own. Those given to `PromptTokenizer` are found in the text before it
is tokenised; those that a pipeline has loaded are tokens of its tokenizer, `<cat>`, `<cat>_1`, ..., of which a text
names the first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from clipcond.prompt import Segment
from clipcond.tokens.chunks import Frame, Token

Encoding = list[tuple[int, tuple[int, int]]]  # (id, (start, end)) of each token


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


def lines_of(segments: Sequence[Segment], separator: str = "") -> tuple[Line, ...]:
    """Join the segments between breaks, with the dialect's separator between them; at least one line."""
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


def _join(segments: Sequence[Segment], separator: str, first: int) -> Line:
    end, pieces = -len(separator), []
    for segment in segments:
        end += len(separator) + len(segment.text)
        pieces.append((end, segment.weight))
    return Line(separator.join(s.text for s in segments), tuple(pieces), first)


class Vectors(NamedTuple):
    """A textual inversion, as far as tokens go.

    Attributes:
        name: the word for it, in any case; `embedding:name` is the same, as ComfyUI has it.
        first: the id of its first vector; those of the others follow.
        count: how many it has.
    """

    name: str
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

    def frame_of(self, line: Line) -> Frame:  # noqa: ARG002 the same for all
        """What is around a line's tokens."""
        return self.frame

    @cached_property
    def _ends(self) -> tuple[int | None, int | None]:
        """Ids that the tokenizer puts before and after a text: T5's has no BOS, Gemma's no EOS, BERT's other names."""
        found = self.tokenizer("a", return_special_tokens_mask=True)
        ids, special = found["input_ids"], found["special_tokens_mask"]
        return ids[0] if special[0] else None, ids[-1] if special[-1] else None

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

    def __call__(self, lines: Sequence[Line]) -> list[tuple[Token, ...]]:
        """Tokenise every line, in one call.

        A typed special token such as <|endoftext|> stays text. The one exception follows the pipelines: where the
        padding token is a character that people type ("!" in SD2), that character is the padding token.
        """
        parts = [self._parts(line.text) for line in lines]
        words = iter(self._words([text for found in parts for _, text, own in found if not own]))
        own_units = self._loaded_units()
        tokens = []
        for line, found in zip(lines, parts, strict=True):
            units: list[Unit] = []
            for start, text, own in found:
                if own:
                    ids = tuple(range(own.first, own.first + own.count))
                    units.append((ids, (start, start + len(text))))
                    continue
                for token_id, (first, end) in next(words):
                    ids = own_units.get(token_id, (token_id,))
                    units.append((ids, (start + first, start + end)))
            tokens.append(weighted(line, units))
        return tokens

    def _parts(self, text: str) -> list[tuple[int, str, Vectors | None]]:
        """(start, text, inversion) of the text's parts in order: those that name an inversion, and what is between."""
        if not self.inversions:
            return [(0, text, None)]
        parts: list[tuple[int, str, Vectors | None]] = []
        at = 0
        for match in self._names.finditer(text):
            if at < match.start():
                parts.append((at, text[at : match.start()], None))
            parts.append((match.start(), match[0], self._by_name[match["name"].lower()]))
            at = match.end()
        return [*parts, (at, text[at:], None)] if at < len(text) or not parts else parts

    @cached_property
    def _by_name(self) -> dict[str, Vectors]:
        return {inversion.name.lower(): inversion for inversion in self.inversions}

    @cached_property
    def _names(self) -> re.Pattern[str]:
        """Any name, the longest first, never as a part of a longer word."""
        names = sorted(self._by_name, key=len, reverse=True)
        alternatives = "|".join(
            rf"{_edge(name[0], '<!')}{re.escape(name)}{_edge(name[-1], '!')}" for name in names
        )
        return re.compile(rf"(?:(?<!\w)embedding:)?(?P<name>{alternatives})", re.IGNORECASE)

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

    def _words(self, texts: list[str]) -> list[Encoding]:
        encodings = self._encode(texts)
        typed = [
            i for i, found in enumerate(encodings) if self._reserved & {token for token, _ in found}
        ]
        if typed:
            split = self._encode([texts[i] for i in typed], split_special_tokens=True)
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

    def _encode(self, texts: list[str], **options: bool) -> list[Encoding]:
        if not texts:
            return []
        encoded = self.tokenizer(
            texts,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,  # the length is this library's business, not a warning's
            **options,
        )
        return [
            list(zip(ids, offsets, strict=True))
            for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]


Unit = tuple[tuple[int, ...], tuple[int, int]]  # the ids that stand for some characters, and which


def _edge(character: str, look: str) -> str:
    """A look-around that keeps a name from matching inside a longer word."""
    return rf"(?{look}\w)" if re.match(r"\w", character) else ""


def weighted(line: Line, units: Sequence[Unit]) -> tuple[Token, ...]:
    """Give each token the mean weight of its characters; one pass, offsets rise."""
    tokens: list[Token] = []
    piece = 0
    for ids, (start, end) in units:
        while piece + 1 < len(line.pieces) and line.pieces[piece][0] <= start:
            piece += 1
        weight = _mean_weight(line.pieces, piece, start, end)
        for number, token_id in enumerate(ids):
            span = 0 if number else len(ids)
            text = line.text[start:end]
            tokens.append(Token(token_id, weight, text, start, line.first + piece, span))
    return tuple(tokens)


def _mean_weight(pieces: Sequence[tuple[int, float]], piece: int, start: int, end: int) -> float:
    last, weight = pieces[piece]
    if end <= last or piece + 1 == len(pieces):
        return weight
    total, at = 0.0, start
    for last, weight in pieces[piece:]:
        total += weight * (min(last, end) - at)
        at = min(last, end)
        if at == end:
            break
    return total / (end - start)
