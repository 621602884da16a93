"""What every training stage shares: its arguments, its clock, its log and its checkpoints."""

import argparse
import json
import math
import shutil
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

SAVE_MINUTES, LOG_STEPS = 2, 50
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
    parser.add_argument("--rate", type=float, help="peak learning rate, instead of the preset's")
    parser.add_argument(
        "--init", type=Path, help="a shipped folder (weights/emoji) to train on from"
    )
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; with --init, a new run starts as a copy of the shipped parts, which have the same names."""
    args = parser.parse_args()
    if args.init and not (args.run / "tokenizer").exists():
        shutil.copytree(args.init, args.run, dirs_exist_ok=True)
    return args


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


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device computes in it; a CPU without such instructions emulates it, over ten times slower than float32."""
    quick = device.type != "cpu" or any(
        torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")
    )
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)


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


class Stage:
    """One stage's progress: its clock, its step, its checkpoint every other minute and its log, one JSON line a row.

    A checkpoint in the run's folder is resumed from, so a stage that was stopped goes on with the same command.
    """

    def __init__(
        self, name: str, args: Any, optimizer: torch.optim.Optimizer, **models: nn.Module
    ) -> None:
        self.name, self.optimizer, self.models = name, optimizer, models
        self.path = args.run / f"{name}.ckpt"
        self.log = (args.run / f"{name}.jsonl").open("a")
        state = torch.load(self.path, weights_only=True) if self.path.exists() else None
        if state:
            for key, model in models.items():
                model.load_state_dict(state[key])
            optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"] if state else 0
        self.clock = Clock(args.minutes, state["minutes"] if state else 0.0)
        self.saved = self.clock.spent
        self.losses: list[float] = []

    def going(self, peak: float) -> bool:
        """Whether there is time for another step; sets its learning rate, and saves where that is due."""
        over = self.clock.progress == 1
        if over or self.clock.spent - self.saved > SAVE_MINUTES:
            self.save()
        for group in self.optimizer.param_groups:
            group["lr"] = self.clock.rate(peak)
        return not over

    def stepped(self, loss: torch.Tensor, size: int, **row: float) -> None:
        """Count a step of `size` pictures and log every fiftieth."""
        self.step += 1
        self.losses.append(loss.item())
        if self.step % LOG_STEPS == 0:
            mean, rate = sum(self.losses) / len(self.losses), self.optimizer.param_groups[0]["lr"]
            row = (
                dict(samples=self.step * size, minutes=self.clock.spent, loss=mean, rate=rate) | row
            )
            line = json.dumps(
                {"stage": self.name, "step": self.step} | {k: round(v, 5) for k, v in row.items()}
            )
            print(line, flush=True)
            print(line, file=self.log, flush=True)
            self.losses.clear()

    def save(self) -> None:
        """Write the checkpoint so that a crash leaves the last whole one."""
        state = {key: model.state_dict() for key, model in self.models.items()}
        state |= dict(
            optimizer=self.optimizer.state_dict(), step=self.step, minutes=self.clock.spent
        )
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)
        self.saved = self.clock.spent


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels only, as in the CLIP paper: no gains, biases or the logit scale."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def save_half(model: Any, folder: Path) -> None:
    """Store a transformers model in float16 that loads as float32.

    transformers loads a model in the dtype that its configuration names, and a half-precision text encoder beside
    diffusers' float32 denoiser does not run.
    """
    model.half().save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for part in (config, config.get("text_config"), config.get("vision_config")):
        if part is not None:
            part["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2) + "\n")
