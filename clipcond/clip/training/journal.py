"""What a training says while it runs: a line of log every so many steps, a bar, accelerate's trackers."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from clipcond.clip.training.schedule import Clock
from clipcond.errors import ClipcondError

LOG = "log.jsonl"


class Journal:
    """The log of the first process; silent in the others.

    Args:
        accelerator: whose trackers are told as well.
        out: the training's folder.
        clock: of the training; lines of a log that are ahead of it are of steps that are done again, and go.
        every: steps between two lines.
    """

    def __init__(self, accelerator: Any, out: Path, clock: Clock, *, every: int) -> None:
        self.accelerator, self.clock, self.every = accelerator, clock, every
        self._losses: list[torch.Tensor] = []
        self._pictures, self._since = 0, time.monotonic()
        self._file = out / LOG
        main = accelerator.is_main_process
        if main:
            self._forget_after(clock.step)
        settings = clock.settings
        self._bar = tqdm(
            total=settings.steps,
            initial=clock.step,
            unit=" steps",
            desc="training",
            file=sys.stderr,
            disable=None if main else True,
        )

    def stepped(self, loss: torch.Tensor, pictures: int, scale: torch.Tensor) -> None:
        """Note a step; only every so many wait for the device.

        Args:
            loss: this process's share, a scalar.
            pictures: in that share.
            scale: logits a cosine.

        Raises:
            ClipcondError: the loss is no number any more.
        """
        self._losses.append(loss.detach())
        self._pictures += pictures
        self._bar.update()
        if self.clock.step % self.every:
            return
        mean = self.accelerator.reduce(torch.stack(self._losses).mean(), reduction="mean").item()
        seen = torch.tensor(float(self._pictures), device=loss.device)
        pictures = self.accelerator.reduce(seen, reduction="sum").item()
        seconds = time.monotonic() - self._since
        row = {
            "loss": mean,
            "rate": self.clock.rate(),
            "scale": scale.item(),
            "minutes": self.clock.minutes,
            "pictures_per_second": pictures / seconds,
        }
        self._losses, self._pictures, self._since = [], 0, time.monotonic()
        self.write(row)
        self._bar.set_postfix_str(
            f"loss {mean:.3f}, {row['pictures_per_second']:.0f} pictures/s", refresh=False
        )
        if mean != mean or abs(mean) == float("inf"):
            raise ClipcondError(
                f"the loss is {mean} at step {self.clock.step}: training has diverged; go on from a checkpoint with a lower rate "
                f"than {self.clock.settings.rate:g}, in another folder"
            )

    def write(self, row: Mapping[str, Any]) -> None:
        """A line of the log, with the step before it, and the same to the trackers."""
        self.accelerator.log(dict(row), step=self.clock.step)
        if not self.accelerator.is_main_process:
            return
        line = {"step": self.clock.step} | {k: _short(v) for k, v in row.items()}
        with self._file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(line) + "\n")

    def say(self, message: str) -> None:
        """A line above the bar, where there is one."""
        if self.accelerator.is_main_process:
            tqdm.write(message, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _forget_after(self, step: int) -> None:
        rows = [row for row in read_log(self._file.parent) if row["step"] <= step]
        partial = self._file.with_name(f".{LOG}.partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        partial.replace(self._file)


def read_log(out: Path) -> list[dict[str, Any]]:
    """The lines of a training's log; a last one that was cut when the process died is none."""
    file = out / LOG
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
