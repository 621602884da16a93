"""No syntax at all: every character is text."""

from collections.abc import Sequence

from clipcond.prompt.contract import Dialect
from clipcond.prompt.tree import Fixed, Fragment, Lora, Prompt
from clipcond.prompt.writing import flattened


def read(source: str) -> Prompt:
    """All of it, of weight 1."""
    return Prompt(source, "plain", Fixed(source, (Fragment(source, 1.0, (0, len(source))),)))


def write(prompt: Prompt, loras: Sequence[Lora]) -> str:  # noqa: ARG001 - it has no LoRAs
    """The texts alone."""
    return "".join(piece.text for piece in flattened(prompt))


PLAIN = Dialect(name="plain", read=read, write=write, least=None, embeddings=False)
