"""Statistics: known values, coverage, and that a hundred pictures of one prompt count as one prompt."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clipcond.errors import ScoreError
from clipcond.score.statistics import compare_paired, interval, required_n


def test_interval_is_the_mean_of_whole_clusters():
    values = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    found = interval(values, ["a", "b", "b", "b", "c", "c"])
    assert found.mean == 0.5
    assert found.clusters == 3
    assert 0.0 <= found.low < 0.5 < found.high <= 1.0


def test_repeating_the_pictures_of_a_prompt_adds_no_confidence():
    values = np.random.default_rng(0).normal(size=20)
    once = interval(values)
    copied = interval(np.repeat(values, 50), np.repeat(np.arange(20), 50).tolist())
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=1e-12)
    naive = interval(np.repeat(values, 50))
    assert naive.high - naive.low < 0.3 * (once.high - once.low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        prompts = rng.normal(size=(30, 1)) + rng.normal(size=(30, 4))
        found = interval(prompts.ravel(), np.repeat(np.arange(30), 4).tolist())
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_interval_is_ordered_and_holds_the_mean(values):
    found = interval(torch.tensor(values, dtype=torch.float64))
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9
    assert found.mean == pytest.approx(np.mean(values))


def test_permutation_p_value_is_exact_for_few_prompts():
    # all 2^4 sign flips: only two are as extreme as all-positive
    found = compare_paired([2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 1.0, 1.0])
    assert found.p_value == pytest.approx(2 / 16)
    assert found.difference.mean == 2.5
    assert found.effect == pytest.approx(2.5 / np.std([1, 2, 3, 4], ddof=1))


def test_permutation_test_holds_its_level_and_sees_a_difference():
    rng = np.random.default_rng(2)
    null = [compare_paired(*rng.normal(size=(2, 12))).p_value < 0.05 for _ in range(60)]
    assert np.mean(null) <= 0.15
    base = rng.normal(size=40)
    assert compare_paired(base + 0.5 + 0.1 * rng.normal(size=40), base).p_value < 0.001


@pytest.mark.parametrize("count", [6, 12, 40])
def test_the_permutation_test_is_scipys(count):
    rng = np.random.default_rng(count)
    a, b = rng.normal(0.4, 1, size=count), rng.normal(size=count)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).sum(axis),
        permutation_type="samples",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).pvalue
    tolerance = 1e-12 if count <= 12 else 4 * np.sqrt(expected * (1 - expected) / 9999)
    assert compare_paired(a, b).p_value == pytest.approx(expected, abs=tolerance)


def test_what_is_beyond_random_signs_is_bounded_and_never_below_the_truth():
    plain = compare_paired(
        np.ones(200) + 0.1 * np.random.default_rng(0).normal(size=200), np.zeros(200)
    )
    assert 0 < plain.p_value < 1e-30
    for count in (14, 16):  # all signs can still be told one by one
        gaps = np.random.default_rng(count).normal(1.5, 1, size=count)
        signs = np.array(np.meshgrid(*[[-1, 1]] * count)).reshape(count, -1)
        exact = (abs(gaps @ signs) >= abs(gaps.sum()) - 1e-12).mean()
        assert compare_paired(gaps, np.zeros(count)).p_value >= 0.9 * exact


def test_prompts_not_pictures_are_swapped():
    rng = np.random.default_rng(3)
    shift = np.repeat(rng.normal(size=6), 50)  # six prompts, each moved its own way
    a, b = shift + rng.normal(size=300) * 0.01, np.zeros(300)
    clustered = compare_paired(a, b, np.repeat(np.arange(6), 50).tolist())
    assert clustered.p_value >= 2 / 64
    assert compare_paired(a, b).p_value < clustered.p_value


@pytest.mark.parametrize(("effect", "n"), [(0.5, 34), (0.2, 199), (0.8, 15)])
def test_required_n_is_the_tables_of_the_paired_t_test(effect, n):
    # G*Power 3.1, two-tailed matched pairs, alpha 0.05, power 0.8
    assert required_n(effect) == required_n(-effect) == n


def test_required_n_gives_the_power_it_promises():
    n = required_n(0.6, power=0.9)
    rng = np.random.default_rng(4)
    seen = stats.ttest_1samp(rng.normal(0.6, 1, size=(4000, n)), 0, axis=1).pvalue < 0.05
    assert 0.88 <= seen.mean() <= 0.93


@pytest.mark.parametrize(
    ("call", "quote"),
    [
        (lambda: interval([1.0]), "got 1 cluster"),
        (lambda: interval([1.0, 2.0], ["a", "a"]), r"got 1 cluster\(s\) of 2"),
        (lambda: interval([1.0, 2.0], ["a"]), "2 values and 1 clusters"),
        (lambda: interval([1.0, float("nan")]), r"values\[1\] is NaN"),
        (lambda: interval([1.0, 2.0], confidence=95.0), "confidence: got 95"),
        (lambda: compare_paired([1.0], [1.0, 2.0]), "1 and 2 values"),
        (lambda: interval(np.zeros((2, 2))), r"shape \[2, 2\]"),
        (lambda: required_n(0.0), "effect: got 0.0"),
        (lambda: required_n(1e-9), "ten million|10,000,000"),
        (lambda: required_n(0.5, power=1.0), "power: got 1.0"),
    ],
)
def test_complaints_quote_what_came(call, quote):
    with pytest.raises(ScoreError, match=quote):
        call()
