"""What a prompt has in quotes, as the encoders of lettering read it: byte by byte."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from transformers import ByT5Tokenizer

from clipcond.tokens.chunks import Frame, Token
from clipcond.tokens.text import Line


@dataclass(frozen=True, slots=True, eq=False)
class GlyphTokenizer:
    """A ByT5Tokenizer that reads only what a prompt has in quotes, as the pipelines that draw lettering do.

    A text without quotes has no tokens. Weights do not act on what is to be spelt.

    Attributes:
        tokenizer: transformers' ByT5Tokenizer.
        length: positions of a row.
        quoted: the texts in quotes, with their places, in the order in which they are read.
    """

    tokenizer: ByT5Tokenizer
    length: int
    quoted: Callable[[str], list[tuple[int, str]]]
    windowed: ClassVar[bool] = False
    inversions: ClassVar[tuple[()]] = ()
    comma: ClassVar[None] = None  # rows are not windows
    unknown: ClassVar[None] = None  # it reads bytes, and knows them all

    @property
    def frame(self) -> Frame:
        """How a row is filled up around its content."""
        t = self.tokenizer
        return Frame(head=(), tail=(t.eos_token_id,), pad=t.pad_token_id, length=self.length)

    def frame_of(self, line: Line) -> Frame:  # noqa: ARG002 the same for all
        """What is around a line's tokens."""
        return self.frame

    @property
    def mask(self) -> int:
        """Of no use, as nothing is weighted."""
        token: int = self.tokenizer.pad_token_id
        return token

    @property
    def pad_text(self) -> str:
        """What the padding token looks like in text."""
        return str(self.tokenizer.pad_token)

    def unmet(self, line: Line) -> list[tuple[int, int]]:  # noqa: ARG002 - as the others have it
        """None: what is to be spelt names nothing."""
        return []

    def __call__(self, lines: Sequence[Line]) -> list[tuple[Token, ...]]:
        """The bytes of what each line has in quotes, each as if typed where its quote begins."""
        tokens = []
        for line in lines:
            found = [(start, f'Text "{text}". ') for start, text in self.quoted(line.text)]
            row = []
            for start, text in found:
                ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
                pieces = self.tokenizer.convert_ids_to_tokens(ids)
                row += [
                    Token(token, 1.0, piece, start, line.first)
                    for token, piece in zip(ids, pieces, strict=True)
                ]
            tokens.append(tuple(row))
        return tokens
