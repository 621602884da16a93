"""Tokenizers of one's own: copies that nobody else sets, kept as long as what they were made from.

What is unusual: transformers keeps truncation, padding and `split_special_tokens` on the one Rust object behind a
tokenizer, and sets them before every call. A pipeline that encodes in another thread would cut and pad what is read
here, be told "Already borrowed", or let a typed special token through. So nothing here ever calls the pipeline's own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from tokenizers import Tokenizer as RustTokenizer
from transformers import PreTrainedTokenizerFast

_BLANK_PIECE = "\u2581"  # what sentencepiece writes for a blank


class Piece(NamedTuple):
    """One token as the tokenizer has it.

    Attributes:
        id: in the vocabulary.
        token: its spelling there.
        run: which of its text's runs it is from, from 0.
        start: where what it covers begins, in characters of the run.
        end: where that ends.
    """

    id: int
    token: str
    run: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Backend:
    """A copy of a tokenizer, without truncation or padding.

    Attributes:
        plain: reads typed special tokens as special, as the pipelines do.
        added: (id, token) of all tokens that were added when it was made.
    """

    plain: RustTokenizer
    added: tuple[tuple[int, str], ...]

    @cached_property
    def split(self) -> RustTokenizer:
        """Reads typed special tokens as text."""
        state = json.loads(self.plain.to_str())
        _forget_control_pieces(state)
        copy = RustTokenizer.from_str(json.dumps(state))
        copy.encode_special_tokens = True
        return copy

    def encode(
        self, texts: Sequence[Sequence[str]], *, special: bool = False, split: bool = False
    ) -> list[list[Piece]]:
        """The tokens of each text, whose runs are tokenised each by itself.

        Args:
            texts: the runs of each.
            special: whether to add the tokens that begin and end a text.
            split: whether typed special tokens are text.
        """
        own = self.split if split else self.plain
        found = own.encode_batch(
            [list(runs) for runs in texts], is_pretokenized=True, add_special_tokens=special
        )
        return [
            [
                Piece(token_id, token, run or 0, start, end)
                for token_id, token, run, (start, end) in zip(
                    one.ids, one.tokens, one.word_ids, one.offsets, strict=True
                )
            ]
            for one in found
        ]


def _forget_control_pieces(state: dict[str, Any]) -> None:
    """Rename special tokens that a Unigram model would still find in a text, as `</s>` of T5; ids stay.

    To sentencepiece they are control symbols, which no text spells.
    """
    if state["model"]["type"] != "Unigram":
        return
    special = {token["content"] for token in state["added_tokens"] if token["special"]}
    vocabulary = state["model"]["vocab"]
    known = special & {piece for piece, _ in vocabulary}
    state["model"]["vocab"] = [
        [f"\0{piece}" if piece in known else piece, score] for piece, score in vocabulary
    ]
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] not in known]


_COPIES: WeakKeyDictionary[PreTrainedTokenizerFast, Backend] = WeakKeyDictionary()
_LOCK = Lock()


def backend_of(tokenizer: PreTrainedTokenizerFast) -> Backend:
    """The copy of a transformers tokenizer; a new one where tokens were added to it since."""
    added = tuple((i, str(token)) for i, token in tokenizer.added_tokens_decoder.items())
    with _LOCK:
        found = _COPIES.get(tokenizer)
        if found is None or found.added != added:
            copy = RustTokenizer.from_str(tokenizer.backend_tokenizer.to_str())
            copy.no_truncation()
            copy.no_padding()
            copy.encode_special_tokens = False
            found = _COPIES[tokenizer] = Backend(copy, added)
        return found


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
