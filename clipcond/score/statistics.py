"""What a table of scores can claim: an interval, a paired test, and how many prompts it takes.

Pictures of one prompt are not independent, so the prompt is what is resampled and swapped here, never the picture:
an interval over 10 prompts with 100 pictures each is as wide as 10 prompts make it.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import torch
from scipy import stats

from clipcond.errors import ScoreError

Values = Sequence[float] | Sequence[int] | np.ndarray | torch.Tensor

_RESAMPLES = 4000
_PERMUTATIONS = 9999
_AT_ONCE = 1 << 22  # numbers that resampling holds, so that memory does not grow with the prompts
_MAX_N = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and its bootstrap interval.

    Attributes:
        mean: of all values.
        low: lower end.
        high: upper end.
        clusters: how many independent things it rests on: prompts, or values where each has its own.
        confidence: share of such intervals that hold the true mean, e.g. 0.95.
    """

    mean: float
    low: float
    high: float
    clusters: int
    confidence: float

    def as_dict(self) -> dict[str, float]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether one thing scores higher than another on the same prompts.

    Attributes:
        difference: first less second: mean and interval.
        p_value: two-sided, of the paired permutation test; how often chance alone differs as much.
        effect: difference in standard deviations of the per-prompt differences (Cohen's d_z).
    """

    difference: Interval
    p_value: float
    effect: float


def interval(
    values: Values, clusters: Sequence[Hashable] | None = None, *, confidence: float = 0.95
) -> Interval:
    """Mean of values and its percentile bootstrap interval, resampling whole clusters.

    Args:
        values: n numbers.
        clusters: n labels, e.g. the prompt of each picture; None: every value stands for itself.
        confidence: between 0 and 1.

    Raises:
        ScoreError: fewer than two clusters, a label count that does not fit, NaN, or a confidence out of range.
    """
    if not 0 < confidence < 1:
        raise ScoreError(f"confidence: got {confidence}; needs a share between 0 and 1")
    sums, counts = _by_cluster(values, clusters)
    mean = float(sums.sum() / counts.sum())
    if np.ptp(sums / counts) == 0:
        low = high = mean
    else:
        found = stats.bootstrap(
            (sums, counts),
            lambda s, c, axis: s.sum(axis) / c.sum(axis),
            paired=True,
            method="percentile",
            confidence_level=confidence,
            n_resamples=_RESAMPLES,
            batch=max(1, _AT_ONCE // len(sums)),
            rng=np.random.default_rng(0),
        )
        low, high = map(float, found.confidence_interval)
    return Interval(mean=mean, low=low, high=high, clusters=len(sums), confidence=confidence)


def compare_paired(
    first: Values, second: Values, clusters: Sequence[Hashable] | None = None
) -> Comparison:
    """Paired permutation test: each prompt's values change sides together, in all ways or in 9,999 random ones.

    Args:
        first: n numbers.
        second: n numbers, the i-th on the same prompt as first's.
        clusters: n labels; None: every pair stands for itself.

    Raises:
        ScoreError: as many numbers on both sides not given, fewer than two clusters, or NaN.
    """
    a, b = _array(first), _array(second)
    if len(a) != len(b):
        raise ScoreError(f"got {len(a)} and {len(b)} values; a paired test takes pairs")
    (a_sums, counts), (b_sums, _) = _by_cluster(a, clusters), _by_cluster(b, clusters)
    per_cluster = (a_sums - b_sums) / counts
    spread = float(per_cluster.std(ddof=1))
    mean = float(per_cluster.mean())
    return Comparison(
        difference=interval(a - b, clusters),
        p_value=_sign_flips(a_sums - b_sums),
        effect=mean / spread if spread else float(np.sign(mean)) * float("inf") if mean else 0.0,
    )


def _sign_flips(gaps: np.ndarray) -> float:
    """How often a sum is as far from 0 as this one when each summand's sign is either.

    Scipy's paired permutation test of a sum, which takes ten times as long, since it draws an order for each pair. Random signs
    say no less than 1 in 10,000, which no correction over hundreds of comparisons would leave anything of; Hoeffding's
    bound (1963) of such sums, 2 exp(-sum^2 / 2 sum of squares), says how rare it is at most, and is taken where it is less.
    """
    observed = abs(gaps.sum()) * (1 - 1e-12)  # what is equal up to rounding is as far
    if 2 ** len(gaps) <= _PERMUTATIONS:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(gaps))))
        return float((np.abs(signs @ gaps) >= observed).mean())
    rng, left, as_far = np.random.default_rng(0), _PERMUTATIONS, 1  # itself is one of them
    while left:
        some = min(left, max(1, _AT_ONCE // len(gaps)))
        flipped = rng.integers(0, 2, size=(some, len(gaps)), dtype=np.int8) @ (2 * gaps)
        as_far += int((np.abs(flipped - gaps.sum()) >= observed).sum())
        left -= some
    squares = float((gaps**2).sum())
    bound = 2 * np.exp(-(gaps.sum() ** 2) / (2 * squares)) if squares else 1.0
    return float(min(as_far / (_PERMUTATIONS + 1), bound))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, each made so large that one error among all is as rare as it says (Holm 1979).

    Args:
        p_values: between 0 and 1, in any order.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def required_n(effect: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Prompts needed to see a difference: power of the two-sided paired t-test, by the noncentral t distribution.

    Args:
        effect: the difference to be seen, in standard deviations of the per-prompt differences (Cohen's d_z).
        power: chance to see it.
        alpha: chance to see it where it is not.

    Raises:
        ScoreError: an effect of 0, a share out of range, or an effect that needs over ten million prompts.
    """
    for name, share in (("power", power), ("alpha", alpha)):
        if not 0 < share < 1:
            raise ScoreError(f"{name}: got {share}; needs a share between 0 and 1")
    if not np.isfinite(effect) or effect == 0:
        raise ScoreError(f"effect: got {effect}; a difference of nothing cannot be seen")

    def seen(n: int) -> bool:
        limit, shift = stats.t.isf(alpha / 2, n - 1), abs(effect) * n**0.5
        reached = stats.nct.sf(limit, n - 1, shift) + stats.nct.cdf(-limit, n - 1, shift)
        return bool(reached >= power)

    return _smallest(seen, start=2, effect=effect)


def _smallest(enough: Callable[[int], bool], *, start: int, effect: float) -> int:
    """The smallest n that is enough, given that every larger one is too."""
    high = start
    while not enough(high):
        if high > _MAX_N:
            raise ScoreError(f"effect: got {effect}; it would take over {_MAX_N:,} prompts")
        high *= 2
    low = max(start, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _by_cluster(
    values: Values, clusters: Sequence[Hashable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """(sum, count) of each cluster, in order of first appearance."""
    array = _array(values)
    labels = range(len(array)) if clusters is None else clusters
    if len(labels) != len(array):
        raise ScoreError(f"got {len(array)} values and {len(labels)} clusters; each value has one")
    row = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    if len(row) < 2:
        raise ScoreError(
            f"got {len(row)} cluster(s) of {len(array)} value(s); what varies between prompts takes two at least"
        )
    index = np.array([row[label] for label in labels])
    return np.bincount(index, weights=array), np.bincount(index).astype(float)


def _array(values: Values) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise ScoreError(f"values: got an array of shape {list(array.shape)}; needs one axis")
    wrong = ~np.isfinite(array)
    if wrong.any():
        place = int(wrong.argmax())
        what = "NaN" if np.isnan(array[place]) else str(array[place])
        raise ScoreError(f"values[{place}] is {what}; leave it out or mend it")
    return array
