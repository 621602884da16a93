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


_COPIES: WeakKeyDictionary[Any, Backend] = WeakKeyDictionary()
_LOCK = Lock()


def backend_of(tokenizer: Any) -> Backend:
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
