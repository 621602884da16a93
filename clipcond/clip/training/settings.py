"""How a training runs: the numbers that its weights depend on, and those that they do not."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from clipcond.errors import ClipcondError

LOCKS = ("image", "text")
PRECISIONS = ("float32", "bfloat16")
LAYOUTS = {"hf": "transformers", "openclip": "openclip"}  # by the names that a training is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the weights depend on, beside the data, the model and the number of processes.

    Attributes:
        steps: updates of the weights; this or `minutes`.
        minutes: wall time; the learning rate follows the clock, so two such runs are not equal to the bit.
        loss: "infonce" (Radford et al. 2021) or "sigmoid" (Zhai et al. 2023).
        chunk: pictures a forward of each process, in place of all its share at once (GradCache); None for all.
        rate: highest learning rate.
        warmup: steps over which the rate rises from zero.
        hold: share of the training before the rate falls, by a cosine to zero.
        weight_decay: of AdamW, on matrices and kernels.
        layer_decay: the rate of a layer is this times that of the one above it.
        clip_norm: gradients longer than this are cut to it.
        lock: the tower that keeps its weights, "image" or "text"; None for none (Zhai et al. 2022, LiT).
        lora: rank of the adapters that are trained in place of the weights (Hu et al. 2021); None for the weights.
        ema: share of itself that the average of the weights keeps at a step; None for the weights of the last step.
        precision: "float32" or "bfloat16" (autocast; weights stay float32).
        checkpointing: whether activations of the transformers are computed again in the backward, to save memory.
        compile: whether the towers go through torch.compile.
        seed: of the order, the captions, the crops and dropout.
    """

    steps: int | None = None
    minutes: int | float | None = None
    loss: str = "infonce"
    chunk: int | None = None
    rate: int | float
    warmup: int = 100
    hold: int | float = 0.0
    weight_decay: int | float = 0.1
    layer_decay: int | float = 1.0
    clip_norm: int | float = 1.0
    lock: str | None = None
    lora: int | None = None
    ema: int | float | None = None
    precision: str = "float32"
    checkpointing: bool = False
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ClipcondError(
                f"steps {self.steps} and minutes {self.minutes}: give one of the two, which says when to stop"
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise ClipcondError(f"{name}: got {value}; needs {low:g} to {high:g}")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise ClipcondError(f"{name}: got {value!r}; choose one of {', '.join(choices)}")
        if self.lock and self.lora:
            raise ClipcondError(
                f"lock {self.lock!r} and lora {self.lora}: adapters keep the weights of both towers already; give one of the two"
            )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is written down on the way; no weight depends on it.

    Attributes:
        steps: between checkpoints; None for none by steps.
        minutes: between checkpoints; None for none by the clock.
        last: how many checkpoints are kept.
        log_steps: between lines of the log.
        trackers: accelerate's, such as ("tensorboard",).
    """

    steps: int | None = None
    minutes: int | float | None = 10
    last: int = 3
    log_steps: int = 50
    trackers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "minutes", "last", "log_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ClipcondError(
                    f"{name} between checkpoints or lines: got {value}; needs over 0"
                )


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What two descriptions of a training differ in, as "name: was, is"."""
    return [
        f"{name}: {before.get(name)!r} before, {now.get(name)!r} now"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


_HUGE = 1e12
_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, _HUGE),
    "minutes": (1e-3, _HUGE),
    "chunk": (1, _HUGE),
    "rate": (0, 10),
    "warmup": (0, _HUGE),
    "hold": (0, 1),
    "weight_decay": (0, 10),
    "layer_decay": (1e-6, 1),
    "clip_norm": (1e-12, _HUGE),
    "lora": (1, 4096),
    "ema": (0, 0.999999),
    "seed": (0, 2**62),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "loss": ("infonce", "sigmoid"),
    "lock": LOCKS,
    "precision": PRECISIONS,
}
