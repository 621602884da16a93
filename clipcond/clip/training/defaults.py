"""What a training takes where it is told nothing: batch, rate, length, warm-up, precision."""

import math
import os

import torch

from clipcond.clip.architecture import Architecture
from clipcond.clip.training.options import Options
from clipcond.clip.training.presets import Preset
from clipcond.clip.training.settings import Settings
from clipcond.errors import ClipcondError

EPOCHS = {"from nothing": 32, "from another": 5}  # Radford et al. 2021 trained for 32
BATCH = 256
_FINE_RATE, _FINE_WIDTH = (
    1e-5,
    768,
)  # what fine-tuning a ViT-B/32 is done with (open_clip, WiSE-FT: 3e-6 to 3e-5)
_WARMUP = 100


def fine_rate(architecture: Architecture) -> float:
    """Highest rate to go on with from trained weights: 1e-5 at a width of 768, more for narrower image towers.

    A narrow tower's weights are larger and its steps may be, by the square of the width.
    """
    width = architecture.image.width * (12 if architecture.is_resnet else 1)
    return _FINE_RATE * min((_FINE_WIDTH / width) ** 2, 30)


def length(told: Options, *, rows: int, batch: int) -> tuple[int | None, int | float | None]:
    """(steps, minutes) of a training over so many pictures; one of the two.

    Raises:
        ClipcondError: told in more than one way.
    """
    ways = ("steps", "epochs", "minutes")
    given = {name: getattr(told, name) for name in ways if getattr(told, name) is not None}
    if len(given) > 1:
        raise ClipcondError(
            f"{' and '.join(f'{name} {value:g}' for name, value in given.items())}: give one of them, which says when to stop"
        )
    if told.steps is not None or told.minutes is not None:
        return told.steps, told.minutes
    usual = EPOCHS["from nothing" if told.init is None else "from another"]
    wanted = usual if told.epochs is None else told.epochs
    if not (math.isfinite(wanted) and wanted > 0):
        raise ClipcondError(f"epochs: got {wanted}; needs over 0")
    return max(1, math.ceil(wanted * rows / batch)), None


def warmup(steps: int | None) -> int:
    """A tenth of the steps, at most a hundred: Adam's averages have settled by then."""
    return _WARMUP if steps is None else min(_WARMUP, steps // 10)


def on_gpu(device: str | None) -> bool:
    """Whether a training that was told this device runs on a GPU."""
    return device != "cpu" and torch.cuda.is_available()


def precision(*, gpu: bool) -> str:
    """bfloat16 on a GPU; many CPUs only emulate it."""
    return "bfloat16" if gpu else "float32"


def workers(*, gpu: bool) -> int:
    """Processes that read pictures beside a GPU; on a CPU the cores are the towers'."""
    return min(8, max(1, (os.cpu_count() or 1) - 1)) if gpu else 0


def settings_of(
    told: Options, architecture: Architecture, preset: Preset | None, *, rows: int, batch: int
) -> Settings:
    """What the weights depend on, with all that was not told filled in.

    Raises:
        ClipcondError: something told that no training has.
    """
    steps, minutes = length(told, rows=rows, batch=batch)
    usual = fine_rate(architecture) if preset is None else preset.rate
    return Settings(
        steps=steps,
        minutes=minutes,
        loss=told.loss,
        chunk=told.chunk,
        rate=usual if told.rate is None else told.rate,
        warmup=warmup(steps) if told.warmup is None else told.warmup,
        weight_decay=told.weight_decay,
        layer_decay=told.layer_decay,
        lock=told.lock,
        lora=told.lora,
        ema=told.ema,
        precision=told.precision or precision(gpu=on_gpu(told.device)),
        checkpointing=told.checkpointing,
        compile=told.compile,
        seed=told.seed,
    )


def batch_of(told: Options, preset: Preset | None, *, rows: int) -> int:
    """Pictures a step: as told, or as usual and no more than there are."""
    usual = BATCH if preset is None else preset.batch
    return told.batch or min(usual, rows)
