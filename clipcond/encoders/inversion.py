"""Textual inversions: words with learnt vectors (Gal et al. 2022).

Nothing is added to a tokenizer or to an embedding table: the vectors are put in place of a row's embeddings while it is
encoded, by a hook that lives as long as the forward and acts in its thread only.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import nn

from clipcond.encoders.inversion_files import ANY, read_inversion
from clipcond.encoders.threads import between_compilations, uncompiled
from clipcond.errors import ClipcondError
from clipcond.tokens import folded

# slot -> its vectors' name in a file for several
_KINDS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
FIRST_VECTOR = 1 << 24  # the id of the first vector given to an encoder, past those of any table


@dataclass(frozen=True, slots=True)
class TextualInversion:
    """A word and its vectors.

    Attributes:
        token: the word, in any case.
        vectors: [vectors, width] for each encoder: by "clip_l" and "clip_g" where a file names them, else by "", for
            whichever encoder is that wide.
        also: other words for the same.
    """

    token: str
    vectors: Mapping[str, Float[torch.Tensor, "vectors width"]] = field(repr=False)
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(word.strip() for word in self.names):
            raise ClipcondError("a textual inversion needs a word to stand for it: pass token=")

    @property
    def names(self) -> tuple[str, ...]:
        """Every word for it, `token` first."""
        return (self.token, *self.also)

    @classmethod
    def load(cls, path: str | Path, *, token: str | None = None) -> "TextualInversion":
        """Read a file of diffusers, AUTOMATIC1111, ComfyUI or kohya: .safetensors, .pt or .bin.

        Pickled files are read without running code. The word in the file and the file's name both stand for it, as
        programs differ in which they take.

        Args:
            path: the file.
            token: the only word for it; of a LoRA that brings several along (`bundle_emb`), which.

        Raises:
            CheckpointError: it is missing, damaged, or no textual inversion.
        """
        words, vectors = read_inversion(Path(path), token)
        first, *others = [token] if token else words
        also = tuple(name for name in others if folded(name) != folded(first))
        return cls(first, vectors, also)

    def vectors_for(self, slot: str, width: int) -> Float[torch.Tensor, "vectors width"] | None:
        """Those for the encoder in a slot; None where it has none.

        Raises:
            ClipcondError: those for this encoder have another width.
        """
        own = self.vectors.get(_KINDS.get(slot, slot))
        if own is not None and own.shape[1] != width:
            raise ClipcondError(
                f"the textual inversion {self.token!r} has vectors of {own.shape[1]} for {slot}, which is {width} wide: "
                "it was made for another model"
            )
        shared = self.vectors.get(ANY)
        return shared if own is None and shared is not None and shared.shape[1] == width else own

    @property
    def widths(self) -> str:
        """For messages."""
        return ", ".join(str(t.shape[1]) for t in self.vectors.values())


@contextmanager
def injected(
    module: nn.Module, ids: torch.Tensor, vectors: torch.Tensor | None
) -> Iterator[torch.Tensor]:
    """Ids to call a module with, so that those from `FIRST_VECTOR` on are read as the rows of `vectors`.

    Args:
        module: a transformers text encoder.
        ids: [rows, tokens].
        vectors: [vectors, width].
    """
    own = ids >= FIRST_VECTOR
    if vectors is None or not bool(own.any()):
        yield ids
        return

    caller = threading.get_ident()

    def put(_module: nn.Module, _args: object, embedded: torch.Tensor) -> torch.Tensor | None:
        # the layer is shared: other threads' forwards, and what they compile meanwhile, are none of our business
        if torch.compiler.is_dynamo_compiling() or threading.get_ident() != caller:
            return None
        placed = embedded.clone()
        places = own.to(placed.device)
        placed[places] = vectors.to(placed)[(ids[own] - FIRST_VECTOR).to(vectors.device)]
        return placed

    table = cast(Callable[[], nn.Module], module.get_input_embeddings)()
    with between_compilations([module]):
        handle = table.register_forward_hook(put)
    try:
        with uncompiled([module]):
            yield ids.masked_fill(own, 0)
    finally:
        with between_compilations([module]):
            handle.remove()
