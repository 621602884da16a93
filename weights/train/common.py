"""What every training stage shares: its arguments, its clock, its log and its checkpoints."""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from clipcond.emoji.captions import caption
from clipcond.emoji.misses import near_miss
from clipcond.emoji.render import render_array
from clipcond.emoji.scenes import Scene, is_held_out, sample
from clipcond.emoji.world import PRESETS

SEEDS_PER_STREAM = 1 << 40  # each stage and seed draws its own scenes


def options(description: str | None, *, minutes: float) -> argparse.ArgumentParser:
    """The options that every stage takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="small")
    parser.add_argument("--minutes", type=float, default=minutes, help="wall time of this stage")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=Path("runs/small"), help="folder of this run")
    parser.add_argument("--batch", type=int, help="pictures a step, instead of the preset's")
    parser.add_argument(
        "--init", type=Path, help="a shipped folder (weights/emoji) to train on from"
    )
    return parser


def scenes(preset: str, stream: int) -> Iterator[Scene]:
    """An endless stream of training scenes, never a held-out one."""
    seed = stream * SEEDS_PER_STREAM
    while True:
        yield sample(seed, preset)
        seed += 1


def with_near_misses(stream: Iterator[Scene], preset: str, seed: int) -> Iterator[Scene]:
    """Each scene followed by a near miss of itself (skipped where that would be a held-out scene)."""
    rng = np.random.default_rng(seed)
    for scene in stream:
        yield scene
        _, missed = near_miss(scene, rng, preset)
        if not is_held_out(missed):
            yield missed


def batch(stream: Iterator[Scene], count: int, preset: str) -> tuple[list[Scene], torch.Tensor]:
    """`count` scenes and their pictures, uint8 [count, 3, size, size]."""
    drawn = [next(stream) for _ in range(count)]
    pixels = np.stack([render_array(scene, PRESETS[preset].size) for scene in drawn])
    return drawn, torch.from_numpy(pixels).permute(0, 3, 1, 2)


def captions(drawn: list[Scene], rng: np.random.Generator) -> list[str]:
    """One caption for each scene."""
    return [caption(scene, int(rng.integers(1 << 31))) for scene in drawn]


class Clock:
    """The wall time of a stage, kept over resumes; the learning rate follows it."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self.minutes, self.start = minutes, time.monotonic() - spent * 60

    @property
    def spent(self) -> float:
        """Minutes since the start of the stage."""
        return (time.monotonic() - self.start) / 60

    @property
    def progress(self) -> float:
        """Share of the time that is used up, 0..1."""
        return min(1.0, self.spent / self.minutes)

    def rate(self, peak: float, *, warmup: float = 0.03, hold: float = 0.5) -> float:
        """Learning rate now: a linear warm-up, `peak`, and a cosine to zero over the rest."""
        at = self.progress
        if at < warmup:
            return peak * max(at, 1e-3) / warmup
        return peak * 0.5 * (1 + math.cos(math.pi * max(0.0, at - hold) / (1 - hold)))


class Log:
    """One JSON line per log step, to the terminal and to a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a")

    def __call__(self, **row: Any) -> None:
        """Write one row; floats are rounded."""
        line = json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()})
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels only, as in the CLIP paper: no gains, biases or the logit scale."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def save_checkpoint(path: Path, **state: Any) -> None:
    """Write a checkpoint so that a crash leaves the last whole one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The checkpoint to resume from, if there is one."""
    return torch.load(path, weights_only=True) if path.exists() else None
