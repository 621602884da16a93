"""What is measured of reranking: the arithmetic on scores made up for the purpose, and the page that says it."""

import argparse
import json

import numpy as np
import pytest

from weights.lab import reports
from weights.lab.measure import openmoji, reranking
from weights.lab.reports import WEIGHTS


def scores(prompts=60, candidates=16):
    """`clip` follows the truth a little and has a taste of its own; `judge` follows it more."""
    rng = np.random.default_rng(0)
    truth = (rng.random((prompts, candidates)) < 0.25).astype(float)
    noise = rng.normal(size=(2, prompts, candidates))
    return {"oracle": truth, "clip": 0.5 * truth + noise[0], "judge": 2 * truth + noise[1]}


@pytest.fixture(scope="module")
def report():
    found = reranking.measure(scores())
    told = {"steps": 20, "guidance_scale": 3.0, "hardware": "2 CPU threads", "minutes": 1.0}
    return json.loads(json.dumps(found | told, default=float))


def test_the_ceiling_is_on_top_and_the_better_scorer_gains_more(report):
    at_16 = {name: curve[-1]["mean"] for name, curve in report["accuracy"].items()}
    assert report["n"] == [1, 2, 4, 8, 16]
    assert at_16["clip"] < at_16["judge"] < at_16["oracle"]
    assert len({round(curve[0]["mean"], 9) for curve in report["accuracy"].values()}) == 1
    shares = {name: found[-1]["mean"] for name, found in report["share_of_gain"].items()}
    assert 0 < shares["clip"] < shares["judge"] < 1
    auc = report["right_above_wrong"]
    assert 0.55 < auc["clip"]["mean"] < auc["judge"]["mean"] < 1


def test_choosing_by_the_truth_takes_all_of_the_gain_and_by_noise_none():
    truth = scores()["oracle"]
    found = reranking.measure(
        {"oracle": truth, "clip": truth, "judge": np.random.default_rng(1).normal(size=truth.shape)}
    )
    assert found["share_of_gain"]["clip"][-1]["mean"] == pytest.approx(1)
    assert abs(found["share_of_gain"]["judge"][-1]["mean"]) < 0.25


def test_what_a_scorer_chooses_rises_in_its_own_eyes_most(report):
    for chooser, other in (("clip", "judge"), ("judge", "clip")):
        rises = report["rises"][chooser]
        assert rises[chooser][-1]["mean"] > rises[other][-1]["mean"]
        assert rises["inflation"][-1]["low"] > 0


def test_a_world_where_nothing_is_right_has_no_share_to_take():
    nothing = scores() | {"oracle": np.zeros((60, 16))}
    found = reranking.measure(nothing)
    assert found["share_of_gain"]["clip"][-1]["mean"] is None
    assert reports.percent(found["right_above_wrong"]["clip"]) == "nothing to measure"


def test_the_page_has_every_figure(report):
    text = reranking.page(report)
    assert reports.percent(report["accuracy"]["judge"][-1]) in text
    assert reranking.deviations(report["rises"]["clip"]["inflation"][3]) in text
    assert "60 held-out prompts" in text
    assert "{" not in text.replace("{prompts}", "{")


def test_the_plot_is_drawn(report, tmp_path):
    pytest.importorskip("matplotlib")
    reranking.plot(report, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


@pytest.mark.skipif(not (WEIGHTS / "reranking.json").is_file(), reason="not measured yet")
def test_the_committed_page_says_what_was_measured():
    report = json.loads((WEIGHTS / "reranking.json").read_text())
    assert (WEIGHTS.parent / "docs" / "reranking.md").read_text() == reranking.page(report)


@pytest.mark.slow
def test_a_dry_run_draws_and_measures():
    args = argparse.Namespace(
        model=WEIGHTS / "emoji", judge=WEIGHTS / "judge", prompts=8, candidates=2, steps=2,
        guidance_scale=3.0, batch_size=16, device="cpu",
    )  # fmt: skip
    found = reranking.draw_and_score(args)
    assert {name: table.shape for name, table in found.items()} == dict.fromkeys(
        ("oracle", "clip", "judge"), (8, 2)
    )


def test_another_drawing_style_is_drawn_in_the_sprites_place(tmp_path):
    from PIL import Image

    from clipcond.emoji.world import NOUNS

    padded = Image.new("RGBA", (72, 72))
    padded.paste((255, 0, 0, 255), (20, 20, 50, 40))
    padded.save(tmp_path / "1F98A.png")
    padded.save(tmp_path / "2708-FE0F.png")
    assert openmoji.file_of(NOUNS["airplane"], tmp_path).name == "2708-FE0F.png"
    drawn = openmoji.drawing(openmoji.file_of(NOUNS["fox"], tmp_path))
    assert drawn.size == (30, 30)
    scene = openmoji.scenes("fox")[0]
    (item,) = scene.items
    pixels = np.asarray(openmoji.openmoji(drawn, scene)).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
    rows, columns = np.nonzero(red)
    assert (columns.min(), columns.max()) == (item.x, item.x + item.size - 1)
    assert item.y < rows.min() < rows.max() < item.y + item.size - 1
    with pytest.raises(SystemExit, match="has no 1F680"):
        openmoji.file_of(NOUNS["rocket"], tmp_path)
