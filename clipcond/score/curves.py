"""Best of n: what choosing among n candidates is worth, for every n, from one set of scored candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaln

from clipcond.errors import ScoreError
from clipcond.score.statistics import Interval, interval

Table = np.ndarray | torch.Tensor | Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Expected quality of the best of n, by number of candidates.

    Attributes:
        n: candidates to choose from.
        intervals: mean over prompts with its bootstrap interval, one for each n.
        per_prompt: [prompts, len(n)], for differences between curves of the same prompts.
    """

    n: tuple[int, ...]
    intervals: tuple[Interval, ...]
    per_prompt: np.ndarray


def best_of_n(selecting: Table, quality: Table, n: Sequence[int]) -> BestOfN:
    """Expected quality of the candidate that scores highest among n, drawn without replacement from all m.

    The unbiased estimator: sort the m candidates by the selecting score, from the lowest (i = 1); the i-th is the best
    of C(i-1, n-1) of the C(m, n) subsets, so the expectation is the sum of its quality times that share. Candidates
    with equal selecting scores share their weights. One sample of n would give the same mean with more noise.

    Args:
        selecting: [prompts, m] scores that choose.
        quality: [prompts, m] what the choice is worth: the same scores, another scorer's, or 0 and 1 of an oracle.
        n: each from 1 to m.

    Raises:
        ScoreError: tables of other shapes, fewer than two prompts, NaN or infinity, or an n out of range.
    """
    chosen_by, worth = (np.asarray(table, dtype=float) for table in (selecting, quality))
    if chosen_by.ndim != 2 or chosen_by.shape != worth.shape:
        raise ScoreError(
            f"got selecting scores of shape {list(chosen_by.shape)} and quality of shape {list(worth.shape)}; "
            "both are [prompts, candidates]"
        )
    if not (np.isfinite(chosen_by).all() and np.isfinite(worth).all()):
        raise ScoreError(
            "scores hold NaN or infinity, which has no place in a mean; score again in float32"
        )
    wrong = [size for size in n if not 1 <= size <= chosen_by.shape[1]]
    if wrong or not n:
        raise ScoreError(
            f"n: got {list(n)}; needs numbers from 1 to {chosen_by.shape[1]}, the candidates"
        )
    weights = np.stack([_weights(chosen_by.shape[1], size) for size in n], axis=1)
    rows = np.stack([_by_rank(s, q) @ weights for s, q in zip(chosen_by, worth, strict=True)])
    return BestOfN(
        n=tuple(n), intervals=tuple(interval(column) for column in rows.T), per_prompt=rows
    )


def _weights(m: int, n: int) -> np.ndarray:
    """C(i-1, n-1) / C(m, n) for i from 1 to m."""

    def log_choose(a: np.ndarray, b: int) -> np.ndarray:
        found: np.ndarray = gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)
        return found

    weights = np.zeros(m)
    rank = np.arange(n - 1, m)
    weights[n - 1 :] = np.exp(log_choose(rank, n - 1) - log_choose(np.array([m]), n))
    weights /= weights.sum()
    return weights


def _by_rank(selecting: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Qualities from the lowest selecting score to the highest; the mean of their group where scores are equal."""
    _, group = np.unique(selecting, return_inverse=True)
    means: np.ndarray = np.bincount(group, weights=quality) / np.bincount(group)
    return means[np.sort(group)]
