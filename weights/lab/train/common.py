"""What every training stage shares: its arguments, its clock, its log and its checkpoints."""

import argparse
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weights.lab import reports

SAVE_MINUTES, LOG_STEPS = 2, 50
HOLD = 0.5  # share of a stage before its rate falls
WARMUP_STEPS = 100  # Adam's averages settle in 1 / (1 - 0.98) steps; by the clock, compiling would use the warm-up up


def options(description: str | None, *, minutes: float) -> argparse.ArgumentParser:
    """The options that every stage takes."""
    parser = reports.parser(description, "preset", "device", preset="small")
    parser.add_argument("--minutes", type=float, default=minutes, help="wall time of this stage")
    parser.add_argument("--steps", type=int, help="end after so many steps instead")
    parser.add_argument(
        "--call-minutes", type=float, help="stop after so long; the same command goes on from there"
    )
    gpu = torch.cuda.is_available()
    parser.add_argument(
        "--workers",
        type=int,
        default=max(1, (os.cpu_count() or 1) - 2) if gpu else 0,
        help="processes that sample scenes; 0 for this one",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=Path("runs/small"), help="folder of this run")
    parser.add_argument("--batch", type=int, help="pictures a step, instead of the preset's")
    parser.add_argument("--rate", type=float, help="peak learning rate, instead of the preset's")
    parser.add_argument(
        "--init", type=Path, help="a shipped folder (weights/emoji) to train on from"
    )
    parser.add_argument(
        "--eager", action="store_true", help="do not compile on a GPU: it takes a minute"
    )
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; with --init, a run of the same world starts as a copy of the shipped parts, which have the same names."""
    args = parser.parse_args()
    if args.init and not (args.run / "tokenizer").exists():
        shutil.copytree(args.init, args.run, dirs_exist_ok=True)
    torch.backends.cudnn.benchmark = True  # shapes repeat
    return args


def training_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it; a CPU without such instructions emulates it, over ten times slower than float32."""
    quick = device.type != "cpu" or any(
        torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")
    )
    return torch.bfloat16 if quick else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Computing in the training dtype where that is not the weights' own."""
    dtype = training_dtype(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


class Clock:
    """The wall time of a stage, kept over resumes, and its steps; the learning rate follows the one that ends it."""

    def __init__(
        self, minutes: float, spent: float = 0.0, *, steps: int | None = None, step: int = 0
    ) -> None:
        self.minutes, self.start = minutes, time.monotonic() - spent * 60
        self.steps, self.step = steps, step

    @property
    def spent(self) -> float:
        """Minutes since the start of the stage."""
        return (time.monotonic() - self.start) / 60

    @property
    def progress(self) -> float:
        """Share of the time, or of the steps, that is used up, 0..1."""
        return min(1.0, self.step / self.steps if self.steps else self.spent / self.minutes)

    def rate(self, peak: float) -> float:
        """Learning rate of the step: a linear warm-up, `peak`, and a cosine to zero over the rest of the time."""
        falling = max(0.0, self.progress - HOLD) / (1 - HOLD)
        warm = min(1.0, (self.step + 1) / WARMUP_STEPS)
        return peak * warm * (1 + math.cos(math.pi * falling)) / 2


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
        spent, step = (state["minutes"], state["step"]) if state else (0.0, 0)
        self.clock = Clock(args.minutes, spent, steps=args.steps, step=step)
        self.last = self.clock.spent + args.call_minutes if args.call_minutes else math.inf
        self.saved = self.clock.spent
        self.losses: list[torch.Tensor] = []
        self.logged = self.clock.spent

    @property
    def step(self) -> int:
        """How many are done."""
        return self.clock.step

    def going(self, peak: float) -> bool:
        """Whether there is time for another step; sets its learning rate, and saves where that is due."""
        over = self.clock.progress == 1 or self.clock.spent >= self.last
        if over or self.clock.spent - self.saved > SAVE_MINUTES:
            self.save()
        for group in self.optimizer.param_groups:
            group["lr"] = self.clock.rate(peak)
        return not over

    def stepped(self, loss: torch.Tensor, size: int, **row: torch.Tensor) -> None:
        """Count a step of `size` pictures and log every fiftieth; only those wait for the device."""
        self.clock.step += 1
        self.losses.append(loss.detach())
        if self.step % LOG_STEPS == 0:
            spent, since = self.clock.spent, self.logged
            values = dict(
                samples=self.step * size,
                minutes=spent,
                pictures_per_second=len(self.losses) * size / (spent - since) / 60,
                loss=torch.stack(self.losses).mean().item(),
                rate=self.optimizer.param_groups[0]["lr"],
            ) | {key: value.item() for key, value in row.items()}
            line = json.dumps(
                {"stage": self.name, "step": self.step}
                | {key: round(value, 5) for key, value in values.items()}
            )
            print(line, flush=True)
            print(line, file=self.log, flush=True)
            self.losses.clear()
            self.logged = spent

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


def compiles(args: Any) -> bool:
    """Whether a stage is to compile its model: where that pays, on a GPU."""
    return torch.device(args.device).type == "cuda" and not args.eager


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
