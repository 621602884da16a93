"""Textual inversions: words with learnt vectors (Gal et al. 2022), read from the files that people have.

Nothing is added to a tokenizer or to an embedding table: the vectors are put in place of a row's embeddings while it is
encoded, by a hook that lives as long as the forward.
"""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open

from clipcond.errors import CheckpointError, ClipcondError

KINDS = {
    "text_encoder": "clip_l",
    "text_encoder_2": "clip_g",
}  # slot -> its vectors' name in a file for several
FIRST_VECTOR = 1 << 24  # the id of the first vector given to an encoder, past those of any table
_ANY = ""


@dataclass(frozen=True, slots=True)
class TextualInversion:
    """A word and its vectors.

    Attributes:
        token: the word, in any case.
        vectors: [vectors, width] for each encoder: by "clip_l" and "clip_g" where a file names them, else by "", for
            whichever encoder is that wide.
    """

    token: str
    vectors: Mapping[str, Float[torch.Tensor, "vectors width"]] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.token.strip():
            raise ClipcondError("a textual inversion needs a word to stand for it: pass token=")

    @classmethod
    def load(cls, path: str | Path, *, token: str | None = None) -> "TextualInversion":
        """Read a file of diffusers, AUTOMATIC1111, ComfyUI or kohya: .safetensors, .pt or .bin.

        Pickled files are read without running code.

        Args:
            path: the file.
            token: the word for it; None for the one in the file, else the file's name without its ending.

        Raises:
            CheckpointError: it is missing, damaged, or no textual inversion.
        """
        path = Path(path)
        name, found = _vectors(_read(path))
        bad = not found or any(t.ndim != 2 or not t.is_floating_point() for t in found.values())
        if bad:
            raise CheckpointError(
                f"{path} is no textual inversion: it needs vectors under clip_l and clip_g, emb_params, "
                "string_to_param, or a word of its own"
            )
        return cls(token or name or path.stem, {key: t.float() for key, t in found.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """All words for it, `token` first."""
        return (self.token,)

    def vectors_for(self, slot: str, width: int) -> Float[torch.Tensor, "vectors width"] | None:
        """Those for the encoder in a slot; None where it has none.

        Raises:
            ClipcondError: those for this encoder have another width.
        """
        own = self.vectors.get(KINDS.get(slot, slot))
        if own is not None and own.shape[1] != width:
            raise ClipcondError(
                f"the textual inversion {self.token!r} has vectors of {own.shape[1]} for {slot}, which is {width} wide: "
                "it was made for another model"
            )
        shared = self.vectors.get(_ANY)
        return shared if own is None and shared is not None and shared.shape[1] == width else own

    @property
    def widths(self) -> str:
        """For messages."""
        return ", ".join(str(t.shape[1]) for t in self.vectors.values())


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 no mapping
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(f"{path} cannot be read as a textual inversion: {reason}") from error
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} is no textual inversion: it holds a {type(state).__name__}")
    return state


def _vectors(state: Mapping[str, Any]) -> tuple[str, dict[str, torch.Tensor]]:
    """(the word in the file or "", its vectors)."""
    if named := {key: state[key] for key in KINDS.values() if key in state}:
        return "", {key: _rows(value) for key, value in named.items()}
    if "emb_params" in state:
        return "", {_ANY: _rows(state["emb_params"])}
    if isinstance(parameters := state.get("string_to_param"), Mapping) and parameters:
        return str(state.get("name") or ""), {_ANY: _rows(next(iter(parameters.values())))}
    if len(state) == 1 and torch.is_tensor(tensor := next(iter(state.values()))):
        return str(next(iter(state))), {_ANY: _rows(tensor)}
    return "", {}


def _rows(value: Any) -> torch.Tensor:
    if not torch.is_tensor(value):
        return torch.zeros(())
    return (value[None] if value.ndim == 1 else value).detach()


@contextmanager
def injected(
    module: Any, ids: torch.Tensor, vectors: torch.Tensor | None
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

    def put(_module: Any, _args: Any, embedded: torch.Tensor) -> torch.Tensor:
        placed = embedded.clone()
        places = own.to(placed.device)
        placed[places] = vectors.to(placed)[(ids[own] - FIRST_VECTOR).to(vectors.device)]
        return placed

    handle = module.get_input_embeddings().register_forward_hook(put)
    try:
        # compiled code would not see a hook that came after it
        with torch.compiler.set_stance("force_eager"):
            yield ids.masked_fill(own, 0)
    finally:
        handle.remove()
