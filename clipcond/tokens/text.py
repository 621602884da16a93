"""Segments to weighted tokens.

What is unusual: segments are joined and tokenised as one text, and each token finds its weight by the characters it
covers. So weights never change what the tokens are: a prompt whose weights are all 1 has the tokens of the plain
text, and they move smoothly away from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clipcond.prompt import Segment
from clipcond.tokens.chunks import Frame, Token

Encoding = tuple[Sequence[int], Sequence[tuple[int, int]]]


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


@dataclass(frozen=True, slots=True, eq=False)
class PromptTokenizer:
    """A transformers tokenizer of CLIP or T5, adapted once: texts in, weighted tokens out.

    Attributes:
        tokenizer: transformers' (fast) CLIPTokenizer or T5Tokenizer.
        length: positions of a window, BOS and EOS included.
        windowed: whether the encoder reads windows of that length only (CLIP), or longer rows as well (T5).
    """

    tokenizer: Any
    length: int
    windowed: bool = True

    @property
    def frame(self) -> Frame:
        """How a window is filled up around its content."""
        t = self.tokenizer
        return Frame(t.bos_token_id, t.eos_token_id, t.pad_token_id, self.length)

    @property
    def comma(self) -> int | None:
        """The id of a comma that ends a word; in a vocabulary without one, an id that is no content."""
        return self.tokenizer.convert_tokens_to_ids(",</w>")

    @property
    def mask(self) -> int:
        """The id that stands in for a masked word: CLIP's "+", as in ComfyUI_ADV_CLIP_emb (266), else the padding."""
        found = self.tokenizer.get_vocab().get("+</w>")
        return self.tokenizer.pad_token_id if found is None else found

    @property
    def pad_text(self) -> str:
        """What the padding token looks like in text."""
        return str(self.tokenizer.pad_token)

    def __call__(self, lines: Sequence[Line]) -> list[tuple[Token, ...]]:
        """Tokenise every line, in one call.

        A typed special token such as <|endoftext|> stays text. The one exception follows the pipelines: where the
        padding token is a character that people type ("!" in SD2), that character is the padding token.
        """
        encodings = self._encode([line.text for line in lines])
        typed = [i for i, (ids, _) in enumerate(encodings) if self._reserved.intersection(ids)]
        if typed:
            split = self._encode([lines[i].text for i in typed], split_special_tokens=True)
            for i, encoding in zip(typed, split, strict=True):
                encodings[i] = encoding
        return [_weigh(line, encoding) for line, encoding in zip(lines, encodings, strict=True)]

    @property
    def _reserved(self) -> set[int]:
        return {self.tokenizer.bos_token_id, self.tokenizer.eos_token_id} - {None}

    def _encode(self, texts: list[str], **options: bool) -> list[Encoding]:
        encoded = self.tokenizer(
            texts,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,  # the length is this library's business, not a warning's
            **options,
        )
        return list(zip(encoded["input_ids"], encoded["offset_mapping"], strict=True))


def _weigh(line: Line, encoding: Encoding) -> tuple[Token, ...]:
    """Give each token the mean weight of its characters; one pass, offsets rise."""
    tokens: list[Token] = []
    piece = 0
    for token_id, (start, end) in zip(*encoding, strict=True):
        while piece + 1 < len(line.pieces) and line.pieces[piece][0] <= start:
            piece += 1
        weight = _mean_weight(line.pieces, piece, start, end)
        tokens.append(Token(token_id, weight, line.text[start:end], start, line.first + piece))
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
