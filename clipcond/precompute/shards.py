"""One shard: the embeddings of some hundred distinct prompts in one safetensors file.

Prompts have different lengths, so their tokens lie one after another: prompt i has the rows `starts[i]` to
`starts[i + 1]` of "prompt_embeds", those of "prompt_embeds_2" the same by `starts_2`, and its text the same of "text" by
`text_starts`. A prompt that failed has none.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from clipcond.errors import CheckpointError
from clipcond.files import save_whole

# a row a token, and where each prompt's rows begin
RAGGED = {
    "prompt_embeds": "starts",
    "prompt_attention_mask": "starts",
    "prompt_embeds_2": "starts_2",
    "prompt_attention_mask_2": "starts_2",
}
FLAT = ("pooled_prompt_embeds",)  # a row a prompt
Tensors = dict[str, torch.Tensor]  # one prompt's, by name


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard is."""
    return folder / f"shard-{number:06d}.safetensors"


@dataclass(frozen=True, slots=True)
class Shard:
    """What is written: each prompt with its tensors, or with the reason why it has none."""

    texts: Sequence[str]
    tensors: Sequence[Tensors | None]
    failures: dict[int, str] = field(default_factory=dict)  # place in the shard -> message

    def save(self, path: Path) -> None:
        """Write it whole or not at all.

        Raises:
            ClipcondError: the disk refuses.
        """
        encoded = [text.encode() for text in self.texts]
        sizes = [0 if t is None else len(t["prompt_embeds"]) for t in self.tensors]
        stored: Tensors = {
            "starts": _starts(sizes),
            "text_starts": _starts([len(text) for text in encoded]),
            "text": torch.from_numpy(np.frombuffer(b"".join(encoded), np.uint8).copy()),
            "failed": torch.tensor([t is None for t in self.tensors], dtype=torch.uint8),
        }
        made = [t for t in self.tensors if t is not None]
        if made and "prompt_embeds_2" in made[0]:
            sizes = [0 if t is None else len(t["prompt_embeds_2"]) for t in self.tensors]
            stored["starts_2"] = _starts(sizes)
        for name in made[0] if made else ():
            if name in RAGGED:
                stored[name] = torch.cat([t[name] for t in made])
            else:
                empty = torch.zeros_like(made[0][name])
                stored[name] = torch.stack([empty if t is None else t[name] for t in self.tensors])
        save_whole(path, stored, {"failures": json.dumps(self.failures)})


def _starts(sizes: Sequence[int]) -> torch.Tensor:
    return torch.tensor([0, *accumulate(sizes)], dtype=torch.int64)


class ShardFile:
    """A written shard, opened."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = safe_open(path, framework="pt")
            self._names = set(self._file.keys())
            self._text_starts, self.failed = (
                self._file.get_tensor(name) for name in ("text_starts", "failed")
            )
            self._starts = {
                name: self._file.get_tensor(name)
                for name in ("starts", "starts_2")
                if name == "starts" or name in self._names
            }
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} cannot be read ({error}); delete it and run clipcond encode again"
            ) from error

    @property
    def failures(self) -> dict[int, str]:
        """Place in the shard -> why that prompt has no embeddings."""
        found = json.loads((self._file.metadata() or {}).get("failures", "{}"))
        return {int(place): message for place, message in found.items()}

    def text(self, place: int) -> str:
        """The prompt at a place."""
        first, last = (int(self._text_starts[place + i]) for i in range(2))
        return self._file.get_slice("text")[first:last].numpy().tobytes().decode()

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Its text under "prompt", and its tensors."""
        found: dict[str, Any] = {"prompt": self.text(place)}
        for name in (*RAGGED, *FLAT):
            if name in self._names:
                part = self._file.get_slice(name)
                found[name] = part[self._rows(name, place)] if name in RAGGED else part[place]
        return found

    def _rows(self, name: str, place: int) -> slice:
        starts = self._starts[RAGGED[name]]
        return slice(int(starts[place]), int(starts[place + 1]))
