"""The best-of-n estimator equals the average over all subsets, whatever ties there are."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clipcond.errors import ScoreError
from clipcond.score import best_of_n


def by_enumeration(selecting, quality, n):
    """Mean over all subsets of the quality of the best; over the best, where several are."""
    totals = []
    for subset in combinations(range(len(selecting)), n):
        top = max(selecting[i] for i in subset)
        totals.append(np.mean([quality[i] for i in subset if selecting[i] == top]))
    return np.mean(totals)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-5, 5)), min_size=2, max_size=7), st.data())
def test_it_is_the_average_over_every_subset(rows, data):
    selecting, quality = (np.array(column, float) for column in zip(*rows, strict=True))
    n = data.draw(st.integers(1, len(rows)))
    found = best_of_n(np.stack([selecting] * 2), np.stack([quality] * 2), [n])
    assert found.per_prompt[0, 0] == pytest.approx(by_enumeration(selecting, quality, n), abs=1e-9)


def test_one_is_the_mean_and_all_is_the_top():
    rng = np.random.default_rng(0)
    selecting, quality = rng.normal(size=(2, 5, 64))
    found = best_of_n(selecting, quality, [1, 64])
    assert found.per_prompt[:, 0] == pytest.approx(quality.mean(1))
    assert found.per_prompt[:, 1] == pytest.approx(quality[np.arange(5), selecting.argmax(1)])


def test_it_is_the_expected_maximum_of_normals():
    # E[max of 4, 8, 16 N(0, 1)] = 1.03, 1.42, 1.77
    scores = np.random.default_rng(1).normal(size=(400, 64))
    found = best_of_n(scores, scores, [4, 8, 16])
    for interval, expected in zip(found.intervals, (1.03, 1.42, 1.77), strict=True):
        assert interval.mean == pytest.approx(expected, abs=0.03)
        assert interval.clusters == 400


@given(st.integers(2, 64), st.integers(0, 100))
def test_the_score_that_chooses_only_rises(m, seed):
    scores = np.random.default_rng(seed).normal(size=(2, m))
    curve = best_of_n(scores, scores, range(1, m + 1)).per_prompt
    assert (np.diff(curve, axis=1) >= -1e-9).all()


def test_a_choice_by_noise_gains_nothing():
    rng = np.random.default_rng(2)
    quality = (rng.random((300, 16)) < 0.3).astype(float)
    curve = best_of_n(rng.normal(size=quality.shape), quality, [1, 16])
    assert stats.ttest_rel(*curve.per_prompt.T).pvalue > 0.01


@pytest.mark.parametrize(
    ("call", "quote"),
    [
        (lambda: best_of_n(np.zeros((2, 3)), np.zeros((2, 4)), [1]), r"\[2, 3\] and .* \[2, 4\]"),
        (lambda: best_of_n(np.zeros((2, 3)), np.zeros((2, 3)), [4]), r"n: got \[4\]; .* 1 to 3"),
        (lambda: best_of_n(np.zeros((2, 3)), np.zeros((2, 3)), []), r"n: got \[\]"),
        (lambda: best_of_n(np.full((2, 3), np.nan), np.zeros((2, 3)), [1]), "hold NaN"),
    ],
)
def test_complaints_quote_what_came(call, quote):
    with pytest.raises(ScoreError, match=quote):
        call()
