"""Cutting a prompt's tokens into the windows an encoder reads, by a policy with a name.

A policy is a pure function (lines, room, comma) -> Cut. It knows nothing of ids but the comma's, nothing of weights,
and is never silent about what it drops. `Frame` then fills a window up with BOS, EOS and padding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clipcond.errors import ClipcondError

COMMA_BACKTRACK = 20


class Token(NamedTuple):
    """One token of a prompt.

    Attributes:
        id: in the tokenizer's vocabulary.
        weight: the mean weight of its characters.
        text: the characters it covers, as typed.
        start: where they begin in the text of its line.
    """

    id: int
    weight: float
    text: str
    start: int


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
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """How a window is filled up around its content.

    Attributes:
        bos: id before the content.
        eos: id after the content.
        pad: id after that, up to the length.
        length: positions of a window.
    """

    bos: int
    eos: int
    pad: int
    length: int

    @property
    def room(self) -> int:
        """Content tokens of a window."""
        return self.length - 2

    def fill(self, tokens: Sequence[Token]) -> Chunk:
        """The window of some content."""
        padding = self.room - len(tokens)
        ids = (self.bos, *(t.id for t in tokens), self.eos, *[self.pad] * padding)
        return Chunk(ids, (1.0, *(t.weight for t in tokens), *[1.0] * (padding + 1)))

    @property
    def empty(self) -> Chunk:
        """The window of the empty prompt."""
        return self.fill(())


Lines = Sequence[tuple[Token, ...]]
Policy = Callable[[Lines, int, int | None], Cut]


def cut_like_a1111(lines: Lines, room: int, comma: int | None) -> Cut:
    """As many windows as it takes, as AUTOMATIC1111's web UI cuts them.

    A window that is full gives up what follows its last comma, if that is at most 20 tokens, so that phrases stay
    whole; a break (the end of a line) ends its window wherever it is.
    """
    chunks: list[tuple[Token, ...]] = []
    chunk: list[Token] = []
    for number, line in enumerate(lines):
        if number:
            chunks.append(tuple(chunk))
            chunk = []
        last_comma = -1
        for token in line:
            if len(chunk) == room:
                near = last_comma >= 0 and room - last_comma <= COMMA_BACKTRACK
                keep = last_comma + 1 if near and token.id != comma else room
                chunks.append(tuple(chunk[:keep]))
                chunk = chunk[keep:]
                last_comma = -1  # as there, a comma that opens such a window does not count
            elif token.id == comma:
                last_comma = len(chunk)
            chunk.append(token)
    if chunk or not chunks:
        chunks.append(tuple(chunk))
    return Cut(tuple(chunks))


def cut_off(lines: Lines, room: int, _comma: int | None) -> Cut:
    """One window; what follows is dropped and reported. A break only ends a word."""
    tokens = tuple(token for line in lines for token in line)
    return Cut((tokens[:room],), tokens[room:])


# "error" cuts as "truncate" does, so that what it would drop can be quoted; dropping is refused by the caller
POLICIES: dict[str, Policy] = {
    "a1111": cut_like_a1111,
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
