"""The loop: batches to weights, on one process or many, from wherever it stopped.

    look at the clock -> batch -> forward, loss, backward (in chunks) -> cut the gradient -> step -> clamp the scale

On accelerate, so `accelerate launch` or `torchrun` before the command makes it DDP. What is random in a step is seeded by
the seed, the step and the process, so there is no generator's state to lose.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from clipcond.clip.towers import Clip
from clipcond.clip.training import gradcache
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.checkpointing import Checkpoints
from clipcond.clip.training.evaluation import Evaluation
from clipcond.clip.training.interrupts import Interrupts
from clipcond.clip.training.journal import Journal
from clipcond.clip.training.losses import LOSSES, clamp_scale
from clipcond.clip.training.modules import Modules, prepare_modules
from clipcond.clip.training.schedule import Clock, seed_step
from clipcond.clip.training.settings import Keeping, Settings
from clipcond.clip.training.towers import Towers

Batches = Callable[[int], Iterator[Batch]]  # a process's shares of the steps, from a step on
Evaluate = Callable[[Clip], Evaluation]  # called by every process with the weights as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a training came to.

    Attributes:
        towers: with the trained weights, or their average, in eval mode.
        step: steps done, over all the calls that it took.
        minutes: spent on them.
        finished: whether it got to its end; False if it was interrupted, and a checkpoint is there.
        evaluation: of these weights; None if it was not asked for, was interrupted, or had no step to do any more.
    """

    towers: Towers
    step: int
    minutes: float
    finished: bool
    evaluation: Evaluation | None


def fit(
    clip: Clip,
    batches: Batches,
    settings: Settings,
    *,
    accelerator: Any,
    out: Path,
    keeping: Keeping,
    extra: nn.Module | None = None,
    evaluate: Evaluate | None = None,
) -> Fitted:
    """Train a CLIP's weights, in place.

    Args:
        clip: whose towers are trained.
        batches: shares of this process; all shares of a step together are the batch that the loss is exact for.
        settings: what the weights depend on.
        accelerator: of `accelerating.make_accelerator`.
        out: folder of checkpoints and the log; what is in it is gone on from.
        keeping: what is written down on the way.
        extra: an objective beside the contrastive one: (Compared, Batch.target) -> a scalar, the sum over rows. Its parameters
            are trained too, without decay.
        evaluate: called at checkpoints; its figures go into the log.

    Raises:
        ClipcondError: the loss is no number any more, or a checkpoint cannot be gone on from.
    """
    modules = prepare_modules(clip, settings, accelerator, extra)
    checkpoints = Checkpoints(out, keeping.last)
    saved = checkpoints.newest()
    if saved is not None:
        checkpoints.load(accelerator, saved)
    clock = (
        Clock(settings)
        if saved is None
        else Clock(settings, step=saved.step, minutes=saved.minutes)
    )
    journal = Journal(accelerator, out, clock, every=keeping.log_steps)
    training = _Training(clip, modules, clock, journal, accelerator, keeping, checkpoints, evaluate)
    try:
        with Interrupts(accelerator.num_processes == 1) as interrupts:
            found = training.run(batches, interrupts)
    finally:
        journal.close()
    return Fitted(
        towers=modules.final(),
        step=clock.step,
        minutes=clock.minutes,
        finished=clock.progress >= 1,
        evaluation=found,
    )


@dataclass(frozen=True, slots=True)
class _Training:
    """One call of `fit`."""

    clip: Clip
    modules: Modules
    clock: Clock
    journal: Journal
    accelerator: Any
    keeping: Keeping
    checkpoints: Checkpoints
    evaluate: Evaluate | None

    def run(self, batches: Batches, interrupts: Interrupts) -> Evaluation | None:
        """Step until the end or an interruption, and how good it is at the end."""
        clock, shares = self.clock, batches(self.clock.step)
        found = None
        kept_step, kept_minutes = clock.step, clock.minutes
        while True:
            clock.look()
            over = clock.progress >= 1 or interrupts.asked
            by_step = self.keeping.steps and clock.step - kept_step >= self.keeping.steps
            by_clock = self.keeping.minutes and clock.minutes - kept_minutes >= self.keeping.minutes
            if (over or by_step or by_clock) and clock.step > kept_step:
                self._keep()
                # whoever interrupts does not want to wait
                found = None if interrupts.asked else self._measure()
                kept_step, kept_minutes = clock.step, clock.minutes
            if over:
                return found
            self._step(next(shares))

    def _step(self, batch: Batch) -> None:
        modules, settings = self.modules, self.clock.settings
        seed_step(settings.seed, self.clock.step, self.accelerator.process_index)
        loss = gradcache.backward(
            modules.model,
            batch.to(self.accelerator.device),
            LOSSES[settings.loss],
            chunk=settings.chunk,
            extra=modules.extra,
            backward=self.accelerator.backward,
            no_sync=lambda: self.accelerator.no_sync(modules.model),
        )
        self.accelerator.clip_grad_norm_(modules.model.parameters(), settings.clip_norm)
        rate = self.clock.rate()
        for group in modules.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        modules.optimizer.step()
        modules.optimizer.zero_grad()
        if settings.loss == "infonce":  # whose paper bounds it
            clamp_scale(modules.towers)
        modules.averaged()
        self.clock.step += 1
        self.journal.stepped(loss, len(batch), modules.towers.model.logit_scale.exp())

    def _keep(self) -> None:
        """A checkpoint."""
        problem = self.checkpoints.save(
            self.accelerator, step=self.clock.step, minutes=self.clock.minutes
        )
        if problem is not None:
            self.journal.say(
                f"no checkpoint at step {self.clock.step}: {problem}; training goes on"
            )

    def _measure(self) -> Evaluation | None:
        """How good it is, into the log, where there is something to measure by."""
        if self.evaluate is None:
            return None
        with self.modules.evaluating() as towers:
            found = self.evaluate(replace(self.clip, model=towers.model))
        self.journal.write(found.as_dict())
        return found
