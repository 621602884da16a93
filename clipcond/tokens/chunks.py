"""Cutting a prompt's tokens into the windows an encoder reads, by a policy with a name.

A policy is a pure function (lines, room, comma) -> Cut. It knows nothing of ids but the comma's, nothing of weights,
and is never silent about what it drops. `Frame` then fills a window up with BOS, EOS and padding.

"a1111", "comfy" and "sentence" take as many windows as a prompt needs, and a break ends one; "truncate" and "error"
take one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, NamedTuple

from clipcond.errors import ClipcondError

Ids = tuple[int, ...]
Side = Literal[
    "right", "left", "middle"
]  # where a row's padding is: the last is in front of its tail

COMMA_BACKTRACK = 20
SPLIT_SEGMENT = 8  # tokens from which ComfyUI cuts a weighted segment wherever the window ends


class Token(NamedTuple):
    """One token of a prompt.

    Attributes:
        id: in the tokenizer's vocabulary.
        weight: of the segment that its characters are from.
        text: the characters it covers, as typed; "" for a blank that the tokenizer put there.
        start: where they begin in the text of its line.
        fragment: which of the prompt's weighted fragments it belongs to, from 1.
        span: how many tokens from here must stay in one window: as many as a textual inversion has vectors on its
            first, 0 on its others, 1 on all else.
        group: which part of the text it is from, among those that were tokenised apart: where the weight changes, and
            around a textual inversion.
    """

    id: int
    weight: float
    text: str
    start: int
    fragment: int = 1
    span: int = 1
    group: int = 0


class Cut(NamedTuple):
    """What a policy made of a prompt: the content of each window, and what fits none.

    Attributes:
        chunks: at least one; each at most `room` tokens.
        dropped: the tokens of no window.
    """

    chunks: tuple[tuple[Token, ...], ...]
    dropped: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """One window as the encoder reads it.

    Attributes:
        ids: BOS, content, EOS, padding.
        weights: one per id; 1 outside the content.
        fragments: which of the prompt's weighted fragments each id belongs to, from 1; 0 outside the content.
        before: ids that the encoder reads in front (behind the first `Frame.kept`) and whose states are dropped.
    """

    ids: Ids
    weights: tuple[float, ...]
    fragments: tuple[int, ...]
    before: Ids = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How a window is filled up around its content.

    Attributes:
        head: ids before the content, without those whose states are dropped.
        tail: ids after it.
        pad: id of what fills up to the length.
        length: positions of a window.
        padded: whether windows are filled up; else they are as long as their content.
        side: where padding is.
        before: ids that the encoder reads as well, and whose states are dropped.
    """

    head: Ids
    tail: Ids
    pad: int
    length: int
    padded: bool = True
    side: Side = "right"
    before: Ids = ()

    @property
    def room(self) -> int:
        """Content tokens of a window."""
        return self.length - len(self.head) - len(self.tail)

    @property
    def eos(self) -> int | None:
        """The id that ends a window's content; None where none does (Gemma)."""
        return self.tail[-1] if self.tail else None

    def fill(self, tokens: Sequence[Token]) -> Chunk:
        """The window of some content; longer than `length` if the content is (no policy for CLIP lets it be)."""
        padding = (self.pad,) * (self.room - len(tokens)) if self.padded else ()
        head = (*padding, *self.head) if self.side == "left" else self.head
        tails = {"right": (*self.tail, *padding), "middle": (*padding, *self.tail)}
        tail = tails.get(self.side, self.tail)
        return Chunk(
            ids=(*head, *(t.id for t in tokens), *tail),
            weights=(*[1.0] * len(head), *(t.weight for t in tokens), *[1.0] * len(tail)),
            fragments=(*[0] * len(head), *(t.fragment for t in tokens), *[0] * len(tail)),
            before=self.before,
        )

    @property
    def empty(self) -> Chunk:
        """The window of the empty prompt."""
        return self.fill(())

    def emptied(self, length: int) -> Ids:
        """The ids of the empty prompt's window, filled up to so many positions."""
        return replace(self, length=length, padded=True).empty.ids

    def inside(self, chunk: Chunk) -> Ids:
        """The positions of a filled window that are no padding: what is around the content, and the content."""
        content = [i for i, fragment in enumerate(chunk.fragments) if fragment > 0]
        end, tail = len(chunk.ids), len(self.tail)
        if self.side == "left":
            return tuple(range(end - len(self.head) - len(content) - tail, end))
        first = content[-1] + 1 if content else len(self.head)
        if self.side == "middle":
            return (*range(first), *range(end - tail, end))
        return tuple(range(first + tail))


Lines = Sequence[tuple[Token, ...]]
Policy = Callable[[Lines, int, int | None], Cut]


def units_of(line: Sequence[Token], room: int) -> Iterator[tuple[Token, ...]]:
    """What no window's end parts: the tokens of a textual inversion, and those of one character."""
    first = 0
    for i in range(1, len(line) + 1):
        if i == len(line) or not _belongs(line[i - 1], line[i]) or i - first == room:
            yield tuple(line[first:i])
            first = i


def _belongs(token: Token, following: Token) -> bool:
    """Whether a token goes on with what the one before it began."""
    return following.span == 0 or following.start < token.start + len(token.text)


def _whole(tokens: Sequence[Token], most: int) -> int:
    """How many of the tokens, at most, to take so that none of `units_of` is parted."""
    while most and _belongs(tokens[most - 1], tokens[most]):
        most -= 1
    return most


def cut_like_a1111(lines: Lines, room: int, comma: int | None) -> Cut:
    """As many windows as it takes, as AUTOMATIC1111's web UI cuts them.

    A window that is full gives up what follows its last comma, if that is at most 20 tokens, so that phrases stay
    whole; a break (the end of a line) ends its window wherever it is, and so does a textual inversion that does not
    fit any more. What is unlike there: a character of several tokens is not parted.
    """
    chunks: list[tuple[Token, ...]] = []
    chunk: list[Token] = []
    for number, line in enumerate(lines):
        if number:
            chunks.append(tuple(chunk))
            chunk = []
        last_comma = -1
        for unit in units_of(line, room):
            token = unit[0]
            full = len(chunk) + len(unit) > room
            while len(chunk) + len(unit) > room:
                ended = len(chunk) == room or token.span == 1
                near = ended and last_comma >= max(0, room - COMMA_BACKTRACK)
                keep = last_comma + 1 if near and token.id != comma else len(chunk)
                chunks.append(tuple(chunk[:keep]))
                chunk = chunk[keep:]
                last_comma = -1  # as there, a comma that opens such a window does not count
            if token.id == comma and not full:
                last_comma = len(chunk)
            chunk += unit
    if chunk or not chunks:
        chunks.append(tuple(chunk))
    return Cut(tuple(chunks))


def cut_like_comfy(lines: Lines, room: int, _comma: int | None) -> Cut:
    """As many windows as it takes, as ComfyUI cuts them.

    A weighted segment (all that is between two changes of weight, or beside a textual inversion) that does not fit any
    more begins the next window, unless it has 8 tokens or more: then it is cut where the window ends, but for what is
    one character or inversion.
    """
    chunks: list[tuple[Token, ...]] = []
    for line in lines:
        chunk: list[Token] = []
        for _, segment in groupby(line, key=lambda token: (token.fragment, token.group)):
            rest = list(segment)
            is_large = len(rest) >= SPLIT_SEGMENT
            while len(chunk) + len(rest) > room:
                if is_large:
                    taken = _whole(rest, room - len(chunk))
                    taken = taken if taken or chunk else room
                    chunk, rest = chunk + rest[:taken], rest[taken:]
                chunks.append(tuple(chunk))
                chunk = []
            chunk += rest
        chunks.append(tuple(chunk))
    return Cut(_without_empty_end(chunks))


def cut_at_sentences(lines: Lines, room: int, _comma: int | None) -> Cut:
    """As many windows as it takes, each ending where the text pauses.

    A window that is full gives up what follows the last end of a sentence in its second half; if there is none there,
    the last comma or the like; else the last word's end; else it is cut where it ends. Chinese and Japanese marks need
    no blank after them.
    """
    chunks: list[tuple[Token, ...]] = []
    for line in lines:
        start = 0
        while len(line) - start > room:
            keep = _pause(line[start : start + room + 1])
            chunks.append(tuple(line[start : start + keep]))
            start += keep
        chunks.append(tuple(line[start:]))
    return Cut(_without_empty_end(chunks))


# before a blank, or before anything: full stops, and lesser pauses
_PAUSES = (
    (".!?", "\u3002\uff01\uff1f\uff0e\uff61"),
    (",;:)]", "\u3001\uff0c\uff64\uff1b\uff1a\uff09\u3011\u300d\u300f\u2026"),
)


def _pause(tokens: Sequence[Token]) -> int:
    """How many of the tokens, but for the last, to keep."""
    room = len(tokens) - 1
    second_half = range(room - 1, room // 2 - 1, -1)
    for spaced, unspaced in _PAUSES:
        for i in second_half:
            mark = tokens[i].text[-1:]
            if mark and (
                (mark in spaced and _ends_word(tokens, i))
                or (mark in unspaced and not _belongs(tokens[i], tokens[i + 1]))
            ):
                return i + 1
    at_word = next((i + 1 for i in second_half if _ends_word(tokens, i)), 0)
    return at_word or _whole(tokens, room) or room


def _ends_word(tokens: Sequence[Token], i: int) -> bool:
    following = tokens[i + 1]
    return following.start > tokens[i].start + len(tokens[i].text) and following.span != 0


def _without_empty_end(chunks: list[tuple[Token, ...]]) -> tuple[tuple[Token, ...], ...]:
    """As for "a1111": a break at the very end asks for no window more."""
    return tuple(chunks[:-1] if len(chunks) > 1 and not chunks[-1] else chunks)


def whole(lines: Lines, _room: int, _comma: int | None) -> Cut:
    """One window of any length, for encoders without a limit; not a policy to choose."""
    return Cut((tuple(token for line in lines for token in line),))


def cut_off(lines: Lines, room: int, _comma: int | None) -> Cut:
    """One window; what follows is dropped and reported. A break only ends a word."""
    tokens = tuple(token for line in lines for token in line)
    kept = _whole(tokens, room) if len(tokens) > room else len(tokens)
    return Cut((tokens[:kept],), tokens[kept:])


# "error" cuts as "truncate" does, so that what it would drop can be quoted; dropping is refused by the caller
POLICIES: dict[str, Policy] = {
    "a1111": cut_like_a1111,
    "comfy": cut_like_comfy,
    "sentence": cut_at_sentences,
    "truncate": cut_off,
    "error": cut_off,
}


def policy_named(name: str) -> Policy:
    """A policy by its name.

    Raises:
        ClipcondError: there is none of that name.
    """
    if name not in POLICIES:
        raise ClipcondError(f"no long_prompt policy {name!r}; there are {', '.join(POLICIES)}")
    return POLICIES[name]
