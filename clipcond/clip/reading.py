"""Texts to rows of token ids, as the program that a checkpoint was made with reads them, from any thread.

A tokenizer is more than its vocabulary. openai/CLIP's and open_clip's mend mis-decoded text and curly quotes, full width
and ligatures (ftfy), undo HTML entities twice, and split by a pattern of their own, in which the names of their special
tokens are words: what follows a typed end-of-text is not read. transformers' tokenizers do none of that, and a special token
typed into them stays text.

Each reader has its own copy of the Rust tokenizer, set up once: transformers sets padding, truncation and the splitting of
special tokens on the one it has, at each call, so two threads with two wishes would get each other's.
"""

import html
import string
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ftfy
import regex
from tokenizers import Tokenizer
from tokenizers.models import BPE

from clipcond.errors import CheckpointError

Rows = Callable[[Sequence[str]], list[list[int]]]

# what the two packages call the first and the last token
_SPECIAL = {
    "openai": ("<|startoftext|>", "<|endoftext|>"),
    "openclip": ("<start_of_text>", "<end_of_text>"),
}
_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How texts become ids.

    Attributes:
        layout: whose way it is.
        cleaning: how texts are cleaned before, one of `CLEANINGS`; None for not at all.
        rows: texts to ids, uncut, special tokens included.
        end: the id that every row ends with; None where the tokenizer ends none.
        stops: whether nothing after a typed end-of-text is read.
        fill: the id that fills a row up.
        fill_left: whether it comes before the text.
        again: makes it anew, from a tokenizer that was copied or pickled, since Rust's forget how they were set up.
    """

    layout: str
    cleaning: str | None
    rows: Rows
    end: int | None
    stops: bool
    fill: int
    fill_left: bool
    again: Callable[[], "Reader"] = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[[], "Reader"], tuple[()]]:
        return self.again, ()

    @property
    def name(self) -> str:
        """For provenance."""
        return self.layout if self.cleaning is None else f"{self.layout}, cleaning {self.cleaning}"

    def read(self, texts: Sequence[str], positions: int) -> tuple[list[list[int]], list[bool]]:
        """Rows of at most that many ids that kept their end token, and which texts lost their end."""
        kept, cut = [], []
        for row in self.rows(texts):
            whole = row[: row.index(self.end) + 1] if self.stops and self.end in row else row
            short = whole[:positions]
            if len(short) < len(whole) and self.end is not None:
                short[-1] = self.end
            kept.append(short)
            cut.append(len(short) < len(row))
        return kept, cut

    def filled(self, row: list[int], length: int) -> list[int]:
        """A row made that long."""
        filling = [self.fill] * (length - len(row))
        return filling + row if self.fill_left else row + filling


def make_reader(
    tokenizer: Any,
    source: str,
    *,
    layout: str,
    cleaning: str | None,
    simple: bool,
    read_filling: bool,
) -> Reader:
    """How a checkpoint's texts are read.

    Args:
        tokenizer: transformers' object, of which a copy is made.
        source: names the tokenizer in errors.
        layout: "transformers", "openai" or "openclip".
        cleaning: one of `CLEANINGS`; None for none.
        simple: whether the pieces are those of the packages' SimpleTokenizer, where the vocabulary is CLIP's.
        read_filling: whether the text tower reads what texts are filled up with, so that it is the tokenizer's own.

    Raises:
        CheckpointError: the tokenizer ends no text, which is where text features are taken, or has nothing to fill with.
    """
    stops = simple and is_clip_bpe(tokenizer)
    if stops:
        start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        if start is None or end is None:
            raise CheckpointError(f"{source} has no start-of-text or no end-of-text token")
        special = dict(zip(_SPECIAL[layout], (start, end), strict=True))
        rows = _simple(tokenizer.backend_tokenizer.model, special)
    else:
        rows = _as_it_stands(tokenizer)
        end = _end(rows([""])[0], tokenizer)
    fill = tokenizer.pad_token_id if read_filling else end
    if fill is None:
        raise CheckpointError(
            f"{source} has no token to fill texts up with; save it with one"
            if read_filling
            else f"{source} ends no text with an end-of-text token, which is where text features are taken; save it with one"
        )
    cleaned = rows if cleaning is None else _after(CLEANINGS[cleaning], rows)
    left = read_filling and tokenizer.padding_side == "left"
    return Reader(
        layout=layout,
        cleaning=cleaning,
        rows=cleaned,
        end=end,
        stops=stops,
        fill=fill,
        fill_left=left,
        again=partial(
            make_reader,
            tokenizer,
            source,
            layout=layout,
            cleaning=cleaning,
            simple=simple,
            read_filling=read_filling,
        ),
    )


def is_clip_bpe(tokenizer: Any) -> bool:
    """Whether words are merged as CLIP's are: byte pairs, with </w> at a word's end."""
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    return isinstance(model, BPE) and model.end_of_word_suffix == "</w>"


def _as_it_stands(tokenizer: Any) -> Rows:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if isinstance(backend, Tokenizer):
        own = Tokenizer.from_str(backend.to_str())
        own.no_padding()
        own.no_truncation()
        own.encode_special_tokens = True
        return lambda texts: [encoding.ids for encoding in own.encode_batch(list(texts))]
    lock = threading.Lock()

    def rows(texts: Sequence[str]) -> list[list[int]]:
        with lock:
            found = tokenizer(list(texts), split_special_tokens=True, verbose=False)["input_ids"]
        return [list(row) for row in found]

    return rows


def _end(empty: Sequence[int], tokenizer: Any) -> int | None:
    """The special token that ends the empty text, and so every text."""
    return empty[-1] if empty and empty[-1] in tokenizer.all_special_ids else None


def _simple(model: BPE, special: Mapping[str, int]) -> Rows:
    """What SimpleTokenizer.encode does after its cleaning, between the two tokens of `special`."""
    names = "|".join(regex.escape(name) for name in special)
    pattern = regex.compile(f"{names}|{_PIECES}", regex.IGNORECASE)
    start, end = special.values()

    def ids(piece: str) -> list[int]:
        if piece in special:
            return [special[piece]]
        letters = "".join(_BYTES[byte] for byte in piece.encode())
        return [token.id for token in model.tokenize(letters)]

    def row(text: str) -> list[int]:
        return [start, *(i for piece in pattern.findall(text) for i in ids(piece)), end]

    return lambda texts: [row(text) for text in texts]


def _after(clean: Callable[[str], str], rows: Rows) -> Rows:
    return lambda texts: rows([clean(text) for text in texts])


def _mended(text: str) -> str:
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _canonical(text: str) -> str:
    bare = _mended(text).replace("_", " ").translate(_NO_PUNCTUATION)
    return _spaced(bare.lower())


# by open_clip's names; openai/CLIP has the first
CLEANINGS: dict[str, Callable[[str], str]] = {
    "lower": lambda text: _spaced(_mended(text)).lower(),
    "whitespace": lambda text: _spaced(_mended(text)),
    "whitespace_underscore": lambda text: _spaced(_mended(text).replace("_", " ")),
    "canonicalize": _canonical,
}


def byte_characters() -> list[str]:
    """A visible character for each byte, in the order of GPT-2's byte-pair encoding."""
    return [_BYTES[byte] for byte in _ORDER]


_VISIBLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
_ORDER = [*_VISIBLE, *(byte for byte in range(256) if byte not in _VISIBLE)]
_BYTES = {
    byte: chr(byte if place < len(_VISIBLE) else 256 + place - len(_VISIBLE))
    for place, byte in enumerate(_ORDER)
}
