"""Comparisons: what is called better is, as rarely wrong as it says, and nothing is compared that was scored differently."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clipcond.errors import ClipcondError, ScoreError
from clipcond.evaluation import Evaluation
from clipcond.evaluation.comparing import Contestant, contrasts, standings
from clipcond.evaluation.numbers import Numbers, pairs, read_numbers
from clipcond.evaluation.record import as_json, compare
from clipcond.score.statistics import holm, interval, required_n

SIMULATIONS = 1000


def columns(models, *, categories=None, seeds=None, prompts=None):
    """A table in which model m has scores [prompts, seeds]."""
    first = next(iter(models.values()))
    count, own = first.shape
    n = count * own
    kinds = categories or [""]
    return Numbers(
        np.tile(np.repeat(prompts if prompts is not None else np.arange(count), own), len(models)),
        np.repeat(np.arange(len(models)), n),
        np.tile(np.repeat(np.arange(count) % len(kinds), own), len(models)),
        np.tile(np.tile(np.arange(own) if seeds is None else seeds, count), len(models)),
        {"clip": np.concatenate([scores.ravel() for scores in models.values()])},
        tuple(models),
        tuple(kinds),
    )


def contestants(table):
    return [Contestant(name, table, name) for name in table.model_names]


def compared(models, **how):
    return contrasts(contestants(columns(models, **how)), ["clip"])


def test_a_difference_is_over_prompts_of_the_same_seeds():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 3))
    (found,) = compared({"a": a, "b": a - 1})
    assert found.difference == pytest.approx(1)
    assert (found.pairs, found.prompts, found.wins, found.losses) == (120, 40, 1.0, 0.0)
    assert found.verdict == "a is better"
    assert found.needed == 0
    (back,) = compared({"b": a - 1, "a": a})
    assert (back.verdict, back.wins) == ("a is better", 0.0)


def test_it_agrees_with_scipy_where_each_prompt_has_one_picture():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.4, 1, size=(60, 1)), rng.normal(size=(60, 1))
    (found,) = compared({"a": a, "b": b})
    assert found.p_value == pytest.approx(stats.ttest_rel(a[:, 0], b[:, 0]).pvalue, abs=0.02)
    low, high = stats.ttest_rel(a[:, 0], b[:, 0]).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05)
    gap = (a - b)[:, 0]
    assert found.effect == pytest.approx(gap.mean() / gap.std(ddof=1))


def test_nothing_to_see_is_said_with_what_it_would_take():
    rng = np.random.default_rng(2)
    a = rng.normal(size=(30, 2))
    b = a - 0.1 - rng.normal(size=(30, 2))
    (found,) = compared({"a": a, "b": b})
    assert found.p_holm >= 0.05
    assert found.needed == required_n(found.effect) - 30
    assert found.verdict.startswith("cannot tell: needs about ")
    (same,) = compared({"a": a, "b": a.copy()})
    assert (same.verdict, same.ties, same.p_value) == (
        "cannot tell: hardly any difference",
        1.0,
        1.0,
    )
    (one,) = compared({"a": a[:1], "b": b[:1]})
    assert one.verdict == "cannot tell: one prompt says nothing of others"


@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_few_prompts_that_all_agree_are_told_how_many_signs_it_takes(spread):
    rng = np.random.default_rng(8)
    a = np.ones((3, 1)) + spread * rng.normal(size=(3, 1))
    (found,) = compared({"a": a, "b": np.zeros((3, 1))})
    assert found.verdict == "cannot tell: needs about 3 more prompts"
    enough = np.ones((6, 1)) + spread * rng.normal(size=(6, 1))
    assert compared({"a": enough, "b": np.zeros((6, 1))})[0].verdict == "a is better"


def test_categories_and_pairs_share_one_correction():
    rng = np.random.default_rng(3)
    models = {name: rng.normal(size=(24, 2)) for name in "abc"}
    found = compared(models, categories=["x", "y"])
    assert len(found) == 3 * 3
    assert {each.category for each in found} == {"all", "x", "y"}
    assert [each.p_holm for each in found] == pytest.approx(holm([each.p_value for each in found]))
    against = contrasts(contestants(columns(models, categories=["x", "y"])), ["clip"], baseline="b")
    assert {(each.first, each.second) for each in against} == {("a", "b"), ("c", "b")}
    with pytest.raises(ClipcondError, match="baseline: got 'd'; choose among a, b, c"):
        contrasts(contestants(columns(models)), ["clip"], baseline="d")


def test_what_is_plain_is_seen_among_hundreds_of_comparisons():
    rng = np.random.default_rng(7)
    models = {f"m{i}": rng.normal(size=(60, 1)) for i in range(20)} | {
        "best": rng.normal(3, 1, size=(60, 1))
    }
    found = compared(models)
    assert len(found) == 210
    assert all(
        each.verdict == "best is better" for each in found if "best" in (each.first, each.second)
    )
    assert sum("is better" in each.verdict for each in found) == 20


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_what_it_corrects_and_bonferroni(p_values):
    found = holm(p_values)
    for p, corrected in zip(p_values, found, strict=True):
        assert p <= corrected <= min(1.0, len(p_values) * p) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(found)[order]) >= 0)


def test_holm_is_the_example_of_its_paper():
    # statsmodels.stats.multitest.multipletests(method="holm") gives the same
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_rows_pair_by_prompt_and_seed_and_without_seeds_in_order():
    a = columns({"a": np.zeros((3, 2))}, prompts=np.array([5, 6, 7]))
    b = columns({"b": np.zeros((3, 2))}, prompts=np.array([7, 8, 5]), seeds=np.array([1, 2]))
    ours, theirs = pairs(a, np.arange(6), b, np.arange(6))
    assert [(int(a.prompts[i]), int(a.seeds[i])) for i in ours] == [(5, 1), (7, 1)]
    assert [(int(b.prompts[i]), int(b.seeds[i])) for i in theirs] == [(5, 1), (7, 1)]
    c, d = (columns({"m": np.zeros((2, n))}, seeds=np.full(n, -1)) for n in (2, 3))
    ours, theirs = pairs(c, np.arange(4), d, np.arange(6))
    assert (ours.tolist(), theirs.tolist()) == ([0, 1, 2, 3], [0, 1, 3, 4])


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """1,000 evaluations of 60 prompts, of which each has 1 to 6 pictures and a mean of its own."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(SIMULATIONS):
        sizes = rng.integers(1, 7, size=60)
        labels = np.repeat(np.arange(60), sizes)
        values = rng.normal(0.3, 0.05, size=60)[labels] + rng.normal(0, 0.03, size=len(labels))
        found = interval(values, labels.tolist())
        held += found.low <= 0.3 <= found.high
    assert 0.93 <= held / SIMULATIONS <= 0.97


@pytest.mark.slow
def test_better_is_said_of_equals_at_most_as_often_as_it_may():
    """1,000 comparisons of two models that are the same, in all and by two categories: one false claim or more."""
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(SIMULATIONS):
        hard = rng.normal(0.3, 0.05, size=(40, 1))
        models = {name: hard + rng.normal(0, 0.03, size=(40, 2)) for name in "ab"}
        false += any(each.p_holm < 0.05 for each in compared(models, categories=["x", "y"]))
    assert false / SIMULATIONS <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / SIMULATIONS)


def test_standings_are_means_with_intervals_over_prompts():
    rng = np.random.default_rng(6)
    models = {name: rng.normal(size=(20, 3)) for name in "ab"}
    found = standings(contestants(columns(models, categories=["x", "y"])), ["clip"])
    assert [(s.category, s.model) for s in found] == [
        (c, m) for c in ("all", "x", "y") for m in "ab"
    ]
    expected = interval(models["a"].ravel(), np.repeat(np.arange(20), 3).tolist())
    assert (found[0].mean, found[0].low, found[0].high) == (
        expected.mean,
        expected.low,
        expected.high,
    )


def test_an_evaluation_tells_itself(run):
    assert run.numbers.model_names == read_numbers(run.folder / "scores.jsonl").model_names
    assert len(run.table) == 24
    assert set(run.summary().columns) >= {"model", "category", "scorer", "mean", "low", "high"}
    found = run.compare()
    assert set(found.category) == {"all", "single", "counting"}
    assert set(found.scorer) == {"emoji", "judge", "oracle"}
    assert "emoji 0." in repr(run)
    assert "<table" in run._repr_html_()


def test_a_notebook_shows_names_escaped(run):
    from dataclasses import replace

    from clipcond.evaluation import Evaluation

    told = Evaluation.load(run.folder)
    told.__dict__["standings"] = [replace(each, model="<b>&") for each in run.standings]
    assert "&lt;b&gt;&amp;" in told._repr_html_()
    assert "<b>" not in told._repr_html_()


def test_scores_that_were_made_differently_are_not_compared(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "scores.jsonl").write_bytes((run.folder / "scores.jsonl").read_bytes())
    about = json.loads((run.folder / "evaluation.json").read_text())
    about["scorers"]["emoji"]["crop"] = "pad"
    (other / "evaluation.json").write_text(json.dumps(about))
    with pytest.raises(ScoreError, match="crop is center 32 x 32 and pad"):
        compare([run, Evaluation.load(other)])
    about["scorers"]["emoji"]["crop"] = "center 32 x 32"
    (other / "evaluation.json").write_text(json.dumps(about))
    names = {each.first for each in compare([run, Evaluation.load(other)])}
    assert names == {"run/short", "run/long", "other/short"}
    with pytest.raises(ClipcondError, match="are called 'run/short'"):
        compare([run, run])


def test_json_has_no_infinity():
    found = compared({"a": np.ones((4, 1)), "b": np.zeros((4, 1))})
    assert found[0].effect == math.inf
    assert as_json(found)[0]["effect"] is None


def test_a_scorer_that_could_judge_nothing_is_left_out(run, tmp_path):
    rows = [json.loads(line) for line in (run.folder / "scores.jsonl").read_text().splitlines()]
    table = "".join(json.dumps(row | {"oracle": None}) + "\n" for row in rows)
    made = {name: how for name, how in run.about["scorers"].items() if name != "oracle"}
    (tmp_path / "scores.jsonl").write_text(table)
    (tmp_path / "evaluation.json").write_text(json.dumps(run.about | {"scorers": made}))
    found = compare([Evaluation.load(tmp_path)])
    assert {contrast.scorer for contrast in found} == {"emoji", "judge"}
