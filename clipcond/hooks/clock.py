"""Where in its run a pipeline is, told by the timestep that its denoiser is called with.

Calls are not counted: a step may take two (guidance in two calls), or one for each of several modules.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

_SCALED = 1000  # by which some pipelines divide timesteps on their way to the denoiser


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of a run.

    Attributes:
        step: counted from 0 at the first that is executed, as AUTOMATIC1111's web UI counts: each look of a second-order
            sampler, which looks twice a step, and from 0 too where picture to picture begins late.
        steps: how many the caller asked for, in the same looks.
        share: of the run that lies behind, from 0 up to, not including, 1.
    """

    step: int
    steps: int
    share: float


@dataclass(slots=True)
class Clock:
    """The moments of one run.

    Attributes:
        pipe: the pipeline.
        asked: steps that its caller asked for; None where the call says none.
        first: the position in the scheduler's timesteps at which the run began; None before it has.
        beginning: the timestep of that, as the denoiser was given it, where the scheduler does not count.
    """

    pipe: Any
    asked: int | None
    first: int | None = field(default=None, init=False)
    beginning: float = field(default=0.0, init=False)

    def moment(self, timestep: torch.Tensor | float) -> Moment:
        """What the denoiser's timestep says; of several (one a token), the noisiest."""
        scheduler = self.pipe.scheduler
        position = self._position(scheduler, timestep)
        if self.first is None:
            self.first = position
        behind, known = max(0, position - self.first), len(scheduler.timesteps)
        executed = known - self.first
        # pipelines that draw in sections count the steps of all
        executed = max(1, min(executed, getattr(self.pipe, "num_timesteps", None) or executed))
        asked = getattr(scheduler, "num_inference_steps", None) or self.asked or executed
        steps = asked * (getattr(scheduler, "order", None) or 1)
        # PNDM takes more looks than steps were asked for
        step = behind if executed <= steps else behind * steps // executed
        return Moment(min(step, steps - 1), steps, min(behind, executed - 1) / executed)

    def _position(self, scheduler: Any, timestep: torch.Tensor | float) -> int:
        """In the scheduler's timesteps.

        Schedulers that count know best, as timesteps may stand there twice (Heun's, PNDM's), or be scaled or rounded on
        their way to the denoiser; and to read one waits for the device. They do not know before their first step, nor
        where a pipeline steps copies of them.
        """
        counted: int | None = getattr(scheduler, "step_index", None)
        if counted is not None:
            return counted
        if self.first is not None and hasattr(scheduler, "counter"):  # PNDM's, from the first step
            return self.first + int(scheduler.counter)
        value = float(timestep.max()) if isinstance(timestep, torch.Tensor) else float(timestep)
        if self.first is None:
            self.beginning = value
            if hasattr(scheduler, "step_index"):
                return self._beginning(scheduler)
        elif value == self.beginning:
            return self.first
        distances: torch.Tensor = (scheduler.timesteps.float() - value).abs()
        return int(distances.argmin())

    def _beginning(self, scheduler: Any) -> int:
        """Where a scheduler begins that counts: some pipelines that begin late do not tell it."""
        told: int | None = getattr(scheduler, "begin_index", None)
        if told is not None:
            return told
        start = float(scheduler.timesteps[0])
        if math.isclose(
            self.beginning, start / _SCALED, rel_tol=1e-2
        ):  # where a last timestep may be as small
            return 0
        there = (scheduler.timesteps == self.beginning).nonzero()
        return int(there[0]) if len(there) else 0
