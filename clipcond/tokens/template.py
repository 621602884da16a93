"""Prompts as a language model reads them: framed by a template, of which the pipeline drops the beginning again.

A prompt is tokenised inside its template, as the pipelines do, and only then taken apart. What is dropped is no part of a
row: the encoder puts it where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from transformers import PreTrainedTokenizerFast

from clipcond.errors import ClipcondError
from clipcond.tokens.backend import Piece, backend_of, covered
from clipcond.tokens.chunks import Frame, Ids, Side, Token
from clipcond.tokens.text import Line, Unit, embeddings_asked, weighted

Filled = Literal["own", "longest", "length"]
_PLACE = "{}"
_QUOTED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What stands around a prompt.

    Attributes:
        text: with "{}" where the prompt goes; in a chat, the system's message.
        crop: how many tokens the pipeline drops at the beginning, after encoding; None for all before the prompt; -1 for all
            but the last of the tokens that the text before the prompt has by itself; a text for as many as that has.
        keeps: how many tokens at the very beginning it does not drop.
        chat: whether the tokenizer's own chat template makes the rest of it.
        system: whether, in a chat, `text` is a system's message; if not, it is the user's, or "" for the prompt alone.
        parts: whether, in a chat, messages are lists of texts and pictures.
        answer: whether, in a chat, the assistant's answer is begun.
        thinking: what the chat template is told of it (Qwen3's `enable_thinking`); None for nothing.
        empty: what the pipeline puts in for an empty prompt.
        eos_pads: whether the pipeline fills rows up with the tokenizer's EOS, whatever its padding token.
    """

    text: str
    crop: int | str | None
    keeps: int = 0
    chat: bool = False
    system: bool = True
    parts: bool = False
    answer: bool = True
    thinking: bool | None = None
    empty: str = ""
    eos_pads: bool = False


@dataclass(frozen=True, eq=False)
class TemplateTokenizer:
    """A language model's tokenizer, adapted once: texts in, weighted tokens out, those of the template apart.

    Attributes:
        tokenizer: transformers' (fast) tokenizer.
        length: positions of a row, those that are dropped not counted.
        template: what stands around a prompt.
        filled: what rows are filled up to: their own end, the longest row of a side, or the length; longer ones to the
            longest of all sides.
        side: where padding is.
        multiple: what the length of filled rows is a multiple of.
        processor: what has the chat template, where that is not the tokenizer.

    Raises:
        ClipcondError: padding goes before what is dropped, or the template has fewer tokens than are dropped.
    """

    tokenizer: PreTrainedTokenizerFast
    length: int
    template: Template
    filled: Filled = "length"
    side: Side = "right"
    multiple: int = 1
    processor: Any = None
    windowed: ClassVar[bool] = False
    inversions: ClassVar[tuple[()]] = ()
    comma: ClassVar[None] = None  # rows are not windows

    def __post_init__(self) -> None:
        if self.side == "left" and self._crop:
            raise ClipcondError(
                f"{type(self.tokenizer).__name__} pads on the left, where the pipeline drops "
                'the template; set tokenizer.padding_side = "right"'
            )
        if len(self._framing[0]) < self._crop:
            raise ClipcondError(
                f"{type(self.tokenizer).__name__} makes {len(self._framing[0])} tokens of the template, of which "
                f"{self._crop} are to be dropped: it is of another model; load the pipeline's own"
            )

    @cached_property
    def _crop(self) -> int:
        before, after = self._around
        crop = self.template.crop
        if isinstance(crop, str):
            return len(self._encode([[crop]])[0])
        if crop is not None:
            return crop if crop >= 0 else len(self._encode([[before]])[0]) + crop
        # a word: it takes a blank before it into its token
        (pieces,) = self._encode([[f"{before}a{after}"]])
        return next(i for i, piece in enumerate(pieces) if piece.end > len(before))

    @cached_property
    def _around(self) -> tuple[str, str]:
        """The texts before and after a prompt."""
        text = self.template.text
        if self.template.chat:
            asked = text if _PLACE in text else _PLACE
            messages = [{"role": "user", "content": self._message(asked)}]
            if self.template.system:
                messages.insert(0, {"role": "system", "content": self._message(text)})
            thinking = self.template.thinking
            told: Any = {} if thinking is None else {"enable_thinking": thinking}
            text = str(
                (self.processor or self.tokenizer).apply_chat_template(
                    messages, add_generation_prompt=self.template.answer, tokenize=False, **told
                )
            )
        before, _, after = text.partition(_PLACE)
        return before, after

    def _message(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self.template.parts else text

    @cached_property
    def _framing(self) -> tuple[Ids, Ids]:
        """The ids before and after a prompt."""
        before, after = self._around
        (pieces,) = self._encode([[before + after]])
        ids = tuple(piece.id for piece in pieces)
        count = next((i for i, piece in enumerate(pieces) if piece.end > len(before)), len(ids))
        return ids[:count], ids[count:]

    @property
    def frame(self) -> Frame:
        """How a row is filled up around its content."""
        return self._frame(self._framing[0])

    def _frame(self, begins: Ids) -> Frame:
        """The same where a row begins with these, the dropped ones among them."""
        keeps, crop = self.template.keeps, max(self._crop, self.template.keeps)
        return Frame(
            head=begins[:keeps] + begins[crop:],
            tail=self._framing[1],
            pad=self._pad,
            length=self.length,
            padded=self.filled != "own",
            side=self.side,
            before=begins[keeps:crop],
        )

    def fitted(self, own: int, longest: int) -> "TemplateTokenizer":
        """The same, with rows as long as the prompts of a call want them.

        Args:
            own: positions of the longest row of its side.
            longest: the same of all sides.
        """
        if self.filled == "own":
            return self
        whole = own if self.filled == "longest" else longest
        if self.filled == "length" and whole <= self.length:
            return self
        return replace(self, length=-(-whole // self.multiple) * self.multiple)

    def frame_of(self, line: Line) -> Frame:
        """What is around a line's tokens: where it begins with blanks, the tokenizer joins them with the template's."""
        (pieces,) = self._encode([self._framed(self._or_empty(line))])
        return self._frame(tuple(piece.id for piece in pieces[: self._first(pieces)]))

    def _or_empty(self, line: Line) -> Line:
        empty = self.template.empty
        return line if line.text else Line(empty, ((len(empty), 1.0),))

    def _framed(self, line: Line) -> list[str]:
        """A line's runs with the template around them."""
        before, after = self._around
        texts = [text for _, text in line.runs]
        texts[0] = before + texts[0]
        texts[-1] += after
        return texts

    def _first(self, pieces: Sequence[Piece]) -> int:
        """The index of a prompt's first token: of those that are not dropped, the first that ends beyond the template."""
        before = len(self._around[0])
        beyond = (i for i, piece in enumerate(pieces) if piece.run or piece.end > before)
        return max(self._crop, next(beyond, len(pieces)))

    @property
    def mask(self) -> int:
        """The id that stands in for a masked word: "+", as for CLIP, else the padding."""
        plus = backend_of(self.tokenizer).plain.token_to_id("+")
        return self._pad if plus is None else plus

    @property
    def unknown(self) -> int | None:
        """The id that stands for whatever is not in the vocabulary; None where nothing is not."""
        found = self.tokenizer.unk_token_id
        return None if found in (self._pad, self.tokenizer.eos_token_id) else found

    @property
    def pad_text(self) -> str:
        """What the padding token looks like in text."""
        return str(self.tokenizer.convert_ids_to_tokens(self._pad))

    def unmet(self, line: Line) -> list[tuple[int, int]]:
        """Where a text asks for an `embedding:name`: this encoder knows none."""
        return [(start, end) for start, end, _ in embeddings_asked(line)]

    @property
    def _pad(self) -> int:
        t = self.tokenizer
        token: int = t.eos_token_id if self.template.eos_pads else t.pad_token_id
        return token

    def __call__(self, lines: Sequence[Line]) -> list[tuple[Token, ...]]:
        """Tokenise every line, in one call.

        Special tokens in a text are special, as in the pipelines.

        Raises:
            ClipcondError: a text whose end the tokenizer joins with the template.
        """
        if not lines:
            return []
        _, tail = self._framing
        lines = [self._or_empty(line) for line in lines]
        tokens = []
        encoded = self._encode([self._framed(line) for line in lines])
        for line, pieces in zip(lines, encoded, strict=True):
            ids = tuple(piece.id for piece in pieces)
            first, last = self._first(pieces), len(ids) - len(tail)
            if ids[last:] != tail or last < first:
                raise ClipcondError(
                    f"the prompt {line.text[:_QUOTED]!r} ends with characters that {type(self.tokenizer).__name__} joins "
                    "with the template after it; take away what is blank there"
                )
            tokens.append(weighted(line, _units(line, pieces[first:last], len(self._around[0]))))
        return tokens

    def _encode(self, texts: Sequence[Sequence[str]]) -> list[list[Piece]]:
        """The tokens of texts, with the special tokens that the tokenizer adds outside of chats."""
        return backend_of(self.tokenizer).encode(texts, special=not self.template.chat)


def _units(line: Line, pieces: Sequence[Piece], before: int) -> list[Unit]:
    """The tokens of a line, with their places in it; `before` it, its first run has so many characters."""
    runs = line.runs
    found: list[list[Piece]] = [[] for _ in runs]
    for piece in pieces:
        shift = 0 if piece.run else before
        place = max(0, piece.start - shift), max(0, piece.end - shift)
        found[piece.run].append(piece._replace(start=place[0], end=place[1]))
    units: list[Unit] = []
    for group, ((start, text), own) in enumerate(zip(runs, found, strict=True)):
        for piece, (first, end) in zip(own, covered(text, own), strict=True):
            units.append(Unit((piece.id,), start + first, start + end, group))
    return units
