"""What `clipcond encode` wrote, as a data set for torch's DataLoader."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.utils.data import Dataset

from clipcond.errors import CheckpointError
from clipcond.precompute.job import VERSION
from clipcond.precompute.shards import ShardFile, shard_path

_OPEN = 64  # shards that are kept open, memory-mapped


class EmbeddingDataset(Dataset[dict[str, Any]]):
    """The embeddings of a table's prompts, row by row, read from disk when asked for.

    Attributes:
        about: the options and encoders they were made with.
        rows: [items] the table's row of each item, from 0; rows whose prompt could not be encoded have no item.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        try:
            self.about = json.loads((self._folder / "about.json").read_text(encoding="utf-8"))
            index = load_file(self._folder / "rows.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(
                f"{folder} holds no finished embeddings ({error}); run clipcond encode with --out {folder}"
            ) from error
        if self.about.get("version") != VERSION:
            raise CheckpointError(
                f"{folder} was written by another version of clipcond; encode again"
            )
        numbers = index["rows"]
        self.rows = torch.nonzero(index["failed"][numbers] == 0).flatten()
        self._numbers = numbers[self.rows]
        self._shard_size = self.about["options"]["shard_size"]
        self._open = lru_cache(_OPEN)(self._shard)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> dict[str, Any]:
        """{"prompt": its text, "prompt_embeds": [tokens, dim], "pooled_prompt_embeds": [pooled_dim] if there are}.

        Raises:
            IndexError: there is no such item.
        """
        if not -len(self) <= item < len(self):
            raise IndexError(f"item {item} of {len(self)}")
        shard, place = divmod(int(self._numbers[item]), self._shard_size)
        return self._open(shard)[place]

    def _shard(self, number: int) -> ShardFile:
        return ShardFile(shard_path(self._folder, number))

    def __getstate__(self) -> dict[str, Any]:
        """Without open files: each worker of a DataLoader opens its own."""
        return {key: value for key, value in vars(self).items() if key != "_open"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open = lru_cache(_OPEN)(self._shard)


def load_embeddings(folder: str | Path) -> EmbeddingDataset:
    """The data set in a folder that `clipcond encode` has finished.

    Prompts of one window give tensors of one shape, which a DataLoader batches as they are.

    Raises:
        CheckpointError: there is none, or it is not finished.
    """
    return EmbeddingDataset(folder)
