"""How far a training is, and what goes with it: the learning rate, and what is random in a step."""

import math
import time

import numpy as np
import torch
from accelerate.utils import broadcast_object_list

from clipcond.clip.training.settings import Settings


def seed_step(seed: int, step: int, process: int) -> None:
    """Seed torch's generators, which dropout draws from, with what the step is and nothing before it."""
    (number,) = np.random.SeedSequence((seed, step, process)).generate_state(1, np.uint64)
    torch.manual_seed(int(number >> 1))


class Clock:
    """Steps done and minutes spent, over all the calls that a training took.

    The time is that of the first process as of the last `look`, so that all processes stop, save and slow down at the
    same step.

    Args:
        settings: which of the two ends it.
        step: steps done before.
        minutes: spent before.
    """

    def __init__(self, settings: Settings, *, step: int = 0, minutes: float = 0.0) -> None:
        self.settings, self.step, self.minutes = settings, step, minutes
        self._began = time.monotonic() - 60 * minutes

    @property
    def progress(self) -> float:
        """Share of the training that is behind, 0 to 1."""
        if self.settings.steps is not None:
            return min(1.0, self.step / self.settings.steps)
        return min(1.0, self.minutes / float(self.settings.minutes or 1))

    def look(self) -> None:
        """Read the time."""
        (self.minutes,) = broadcast_object_list([(time.monotonic() - self._began) / 60])

    def rate(self) -> float:
        """Learning rate of the next step: a linear warm-up, a plateau, and a cosine to zero."""
        settings = self.settings
        falling = max(0.0, self.progress - settings.hold) / max(1 - settings.hold, 1e-9)
        warm = min(1.0, (self.step + 1) / max(settings.warmup, 1))
        return settings.rate * warm * (1 + math.cos(math.pi * falling)) / 2
