"""Scenes, captions and layouts for training, sampled on the host as small tensors, in worker processes on a GPU machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from clipcond.emoji.captions import FILLERS, caption, describe
from clipcond.emoji.misses import near_miss
from clipcond.emoji.scenes import Scene, is_held_out, sample
from weights.lab.train.compose import Layout, plain, varied
from weights.lab.train.reading import Reader

SEEDS_PER_STREAM = 1 << 40  # each stage and seed draws its own scenes ...
SEEDS_PER_WORKER = 1 << 30  # ... and so does each worker of it


class Batch(NamedTuple):
    """What a step needs.

    Attributes:
        tokens: int64 [batch, windows, length].
        layout: what the pictures show.
        target: what the auxiliary heads must name, [batch, ...].
    """

    tokens: torch.Tensor
    layout: Layout
    target: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        tokens, layout, target = (
            Layout(*(part.to(device, non_blocking=True) for part in field))
            if isinstance(field, Layout)
            else field.to(device, non_blocking=True)
            for field in self
        )
        return Batch(tokens, layout, target)


def scenes(preset: str, stream: int, worker: int = 0) -> Iterator[Scene]:
    """An endless stream of training scenes, never a held-out one."""
    seed = stream * SEEDS_PER_STREAM + worker * SEEDS_PER_WORKER
    while True:
        yield sample(seed, preset)
        seed += 1


def with_near_misses(
    stream: Iterator[Scene], preset: str, rng: np.random.Generator
) -> Iterator[Scene]:
    """Each scene followed by a near miss of itself (skipped where that would be a held-out scene)."""
    for scene in stream:
        yield scene
        _, missed = near_miss(scene, rng, preset)
        if not is_held_out(missed):
            yield missed


@dataclass(frozen=True, kw_only=True)
class Batches(IterableDataset):
    """Endless batches.

    Attributes:
        preset: the world.
        stream: which scenes: seeds and workers draw their own.
        size: of a batch.
        read: makes tokens of captions, so many windows of each.
        target: scene -> what the auxiliary heads must name.
        near_misses: whether they follow their scenes.
        varies: whether pictures are varied.
        empty: share of captions left empty.
        described: share of batches whose captions are sentences.
        windows: how many those fill.
    """

    preset: str
    stream: int
    size: int
    read: Reader
    target: Callable[[Scene], np.ndarray]
    near_misses: bool
    varies: bool
    empty: float
    described: float
    windows: int

    def __iter__(self) -> Iterator[Batch]:
        """This worker's share."""
        info = get_worker_info()
        worker = info.id if info else 0
        rng = np.random.default_rng((self.stream, worker))
        stream = scenes(self.preset, self.stream, worker)
        if self.near_misses:
            stream = with_near_misses(stream, self.preset, rng)
        while True:
            yield self._batch(list(islice(stream, self.size)), rng)

    def _batch(self, drawn: list[Scene], rng: np.random.Generator) -> Batch:
        tokens = self._tokens(drawn, rng)
        layouts = [
            varied(scene, self.preset, rng) if self.varies else plain(scene, self.preset)
            for scene in drawn
        ]
        layout = Layout(*(torch.from_numpy(np.stack(part)) for part in zip(*layouts, strict=True)))
        target = torch.from_numpy(np.stack([self.target(scene) for scene in drawn]))
        return Batch(tokens, layout, target)

    def _tokens(self, drawn: list[Scene], rng: np.random.Generator) -> torch.Tensor:
        described = rng.random() < self.described
        texts = [
            "" if rng.random() < self.empty else self._text(scene, rng, described=described)
            for scene in drawn
        ]
        return self.read(texts, self.windows if described else 1)

    def _text(self, scene: Scene, rng: np.random.Generator, *, described: bool) -> str:
        if not described:
            return caption(scene, int(rng.integers(1 << 31)))
        # more fillers would not fit into one window; or what two windows are for
        low, high = (2, len(FILLERS)) if self.windows > 1 else (0, max(1, 4 - len(scene.groups)))
        return describe(scene, rng, fillers=int(rng.integers(low, high)))


def loader(batches: Batches, device: torch.device, workers: int) -> Iterator[Batch]:
    """The batches on the device; sampled in this process if there are no workers."""
    pinned = device.type == "cuda"
    for batch in DataLoader(batches, batch_size=None, num_workers=workers, pin_memory=pinned):
        yield batch.to(device)
