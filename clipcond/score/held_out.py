"""The held-out judge: whether what one scorer chose is better to another that had no say.

The selecting score always rises, by the winner's curse alone. If the judge's does not rise with it, the choice has
found the selecting scorer's taste, not better pictures ("verifier hacking").
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float

from clipcond.errors import HeldOutWarning, ScoreError
from clipcond.score.results import Scores
from clipcond.score.statistics import Interval, interval

_NO_GAIN = 1e-6  # standard deviations: rounding of a mean with itself


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The chosen pictures of one prompt, to the scorer that chose them and to the judge.

    Attributes:
        gain: mean selecting score of the chosen over that of all, in standard deviations of all.
        judge_gain: the same of the judge's scores.
        judge_scores: the judge's score of each chosen picture, in rank order.
        alarm: the first rises and the second does not. On one prompt with few candidates that is often chance:
            `summarise` says more.
        truncated: whether the prompt was longer than the judge reads.
        provenance: how the judge's scores were made.
    """

    gain: float
    judge_gain: float
    judge_scores: Float[torch.Tensor, " kept"]
    alarm: bool
    truncated: bool
    provenance: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutSummary:
    """Gains over many prompts.

    Attributes:
        gain: of the selecting scores.
        judge_gain: of the judge's.
        alarm: the first interval is above 0 and the second is not.
    """

    gain: Interval
    judge_gain: Interval
    alarm: bool


class Running:
    """Count, mean and spread of numbers that are not kept (Welford 1962)."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, 0.0, 0.0

    def add(self, values: Sequence[float]) -> None:
        """Take in some more."""
        for value in values:
            self.count += 1
            step = value - self.mean
            self.mean += step / self.count
            self._squares += step * (value - self.mean)

    def gain(self, values: Sequence[float]) -> float:
        """How far the mean of some is above the mean of all, in standard deviations of all; 0 where all are equal."""
        deviation = (self._squares / self.count) ** 0.5 if self.count else 0.0
        found = (sum(values) / len(values) - self.mean) / deviation if deviation else 0.0
        return 0.0 if abs(found) < _NO_GAIN else found


def held_out(
    totals: Sequence[Running], kept: Sequence[tuple[float, float]], last: Scores
) -> HeldOut:
    """Compare the chosen with all candidates.

    Args:
        totals: all selecting scores, all judge's scores.
        kept: (selecting score, judge's score) of the chosen, in rank order; at least one.
        last: the judge's scores of the last batch: how they all were made.

    Warns:
        HeldOutWarning: on alarm.
    """
    selecting, judged = zip(*kept, strict=True)
    gain, judge_gain = totals[0].gain(selecting), totals[1].gain(judged)
    alarm = gain > 0 >= judge_gain
    if alarm:
        warnings.warn(
            f"the chosen pictures are {gain:.2f} standard deviations above the average candidate to the scorer that "
            f"chose them, but {judge_gain:+.2f} to the judge: the choice may be that scorer's taste, not quality",
            HeldOutWarning,
            stacklevel=3,
        )
    return HeldOut(
        gain=gain,
        judge_gain=judge_gain,
        judge_scores=torch.tensor(judged, dtype=torch.float32),
        alarm=alarm,
        truncated=bool(last.truncated.any()),
        provenance=last.provenance,
    )


def summarise(found: Sequence[HeldOut]) -> HeldOutSummary:
    """Mean gains over prompts with their intervals.

    Raises:
        ScoreError: fewer than two prompts.

    Warns:
        HeldOutWarning: on alarm.
    """
    if len(found) < 2:
        raise ScoreError(
            f"got the rankings of {len(found)} prompts; an interval needs two at least"
        )
    gain = interval([each.gain for each in found])
    judge_gain = interval([each.judge_gain for each in found])
    alarm = gain.low > 0 >= judge_gain.low
    if alarm:
        warnings.warn(
            f"over {len(found)} prompts the selecting score rises by {gain.mean:.2f} standard deviations, the judge's "
            f"by {judge_gain.mean:+.2f} ({judge_gain.low:+.2f} to {judge_gain.high:+.2f}): no gain that the judge sees",
            HeldOutWarning,
            stacklevel=2,
        )
    return HeldOutSummary(gain=gain, judge_gain=judge_gain, alarm=alarm)
