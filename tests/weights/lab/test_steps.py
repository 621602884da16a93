"""What is measured of the things inside a run: the arithmetic on tables that are known, the page that says it, its plot."""

import argparse
import json
import time

import numpy as np
import pytest
import torch

from clipcond.emoji import Item, Scene, render
from weights.lab import reports
from weights.lab.drawing import Studio
from weights.lab.measure import composing, drafting, guiding, placing, steps, switching
from weights.lab.reports import WEIGHTS


def plain(report):
    return json.loads(json.dumps(report, default=float))


def test_both_are_equally_often_there_where_the_curves_cross():
    first = np.linspace(0, 1, len(switching.FRACTIONS))
    found = np.stack([first, 1 - first], -1)[:, None].repeat(5, 1)
    assert switching.summary(found)["half"] == pytest.approx(0.5)
    assert switching.summary(found[::-1])["half"] is None


def test_what_is_there_together_and_what_is_taken_away():
    there = np.array([[[1, 1]], [[1, 0]], [[0, 0]], [[1, 0]]], dtype=float)
    together = composing.together(there)
    assert [together[key]["mean"] for key in ("both", "one", "none")] == [0.25, 0.5, 0.25]
    removal = composing.removal(there)
    assert [removal[key]["mean"] for key in ("kept", "gone", "as asked")] == [0.75, 0.75, 0.5]


def test_the_share_of_guided_steps_and_what_it_should_cost():
    assert guiding.guided_share((0.2, 0.8), 20) == 0.6
    assert guiding.guided_share((0.0, 0.0), 20) == 0
    assert guiding.guided_share((0.3, 1.0), 20) == 0.7
    slow_once = np.array([[0.5, 0.4], [0.5, 9.0], [0.5, 0.4]])
    cost = guiding.cost(guiding.run_seconds(slow_once), 1.0, 0.6)
    assert (cost["share"], cost["expected"]) == (0.9, 0.8)
    assert cost["miss"] == pytest.approx(0.125)


def test_the_time_of_a_module_is_its_own():
    module = torch.nn.Linear(2, 2)
    with guiding.timed(module) as spent:
        module(torch.zeros(1, 2))
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        module(torch.zeros(1, 2))
    module(torch.zeros(1, 2))
    assert len(spent) == 2
    assert 0 <= sum(spent) < 0.05


def test_an_object_is_placed_when_it_is_once_in_its_half():
    pair = ("fox", "pumpkin", "a fox", "a pumpkin", True)

    def drawn(*items):
        return render(Scene("white", items))

    right = drawn(Item("fox", 0, 8, 12), Item("pumpkin", 20, 8, 12))
    wrong = drawn(Item("pumpkin", 0, 8, 12), Item("fox", 20, 8, 12))
    twice = drawn(Item("fox", 0, 0, 12), Item("fox", 20, 20, 12), Item("pumpkin", 20, 0, 12))
    pairs = [pair] * 2 * placing.SEEDS
    both = placing.summary(pairs, [right, wrong] * placing.SEEDS, "small")
    assert (both["placed"]["mean"], both["there"]["mean"]) == (0.5, 1.0)
    never = placing.summary(pairs, [wrong, twice] * placing.SEEDS, "small")
    assert never["placed"]["mean"] == 0


def scores(prompts=40, candidates=32):
    """The model's CLIP follows the truth; its draft follows that closely."""
    rng = np.random.default_rng(0)
    truth = (rng.random((prompts, candidates)) < 0.1).astype(float)
    noise = rng.normal(size=(3, prompts, candidates))
    full = {"oracle": truth, "clip": 3 * truth + noise[0], "judge": 2 * truth + noise[1]}
    return full, full | {"clip": full["clip"] + 0.1 * noise[2]}


def test_good_drafts_win_and_blind_ones_lose():
    full, draft = scores()
    blind = draft | {"clip": np.random.default_rng(1).normal(size=draft["clip"].shape)}
    found = drafting.compared(full, {("run", 4): draft, ("look", 4): blind}, 20)
    good, bad = (
        next(row for row in each["rows"] if row["refined"] == 4) for each in found["drafts"]
    )
    assert good["pictures"] == pytest.approx((32 * 4 + 4 * 20) / 20)
    assert good["worth"]["oracle"]["gain"]["low"] > 0
    assert bad["worth"]["oracle"]["gain"]["high"] < 0
    assert found["drafts"][0]["agreement"]["low"] > 0.9
    assert abs(found["drafts"][1]["agreement"]["mean"]) < 0.1


def test_when_all_are_drawn_in_full_the_drafts_do_not_matter():
    full, draft = scores()
    chosen = drafting.refined(draft["clip"], full["clip"], full["oracle"], 32)
    best = full["clip"].argmax(1)
    np.testing.assert_array_equal(chosen, full["oracle"][np.arange(40), best])


def test_the_studio_draws_what_changes_and_what_else_is_asked_for_each_prompt():
    studio = Studio(
        argparse.Namespace(
            model=WEIGHTS / "emoji", device="cpu", steps=2, guidance_scale=3.0, batch_size=2
        )
    )
    negatives = ["", "a fox", ""]
    changing, same, other = studio.table(
        ["[a fox:a pumpkin:0.0]", "a pumpkin", "a pumpkin"], 1, "", negative_prompt=negatives
    )
    plain, negated = studio.table(["a pumpkin"] * 2, 1, "", negative_prompt=["", "a fox"])
    assert np.array_equal(changing[0], other[0])
    assert np.array_equal(changing[0], plain[0])
    assert np.array_equal(same[0], negated[0])
    assert not np.array_equal(plain[0], negated[0])


@pytest.fixture(scope="module")
def report():
    return json.loads((WEIGHTS / "steps.json").read_text())


def test_the_committed_page_says_what_was_measured(report):
    assert (WEIGHTS.parent / "docs" / "steps.md").read_text() == steps.page(report)


def test_the_page_has_every_figure(report):
    text = steps.page(report)
    assert reports.percent(report["placing"]["rows"][2]["placed"]) in text
    assert reports.percent(report["switching"]["pairs"]["second"][3]) in text
    assert reports.percent(report["guiding"]["intervals"][2]["right"]) in text
    assert "{" not in text


def test_the_plot_is_drawn(report, tmp_path):
    pytest.importorskip("matplotlib")
    steps.plot(report, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000
