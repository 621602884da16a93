"""The measurement of weighting modes: its figures on curves that are known, its page and its plot."""

import json

import numpy as np
import pytest

from clipcond.weighting import MODES
from weights.lab.measure import weighting
from weights.lab.reports import ROOT


def found(*curve, other=0.5):
    """Presence [weights, pairs, 2] of ten pairs: the weighted object follows the curve, the other stays."""
    means = np.array(curve)[:, None, None] * np.ones((1, 10, 1))
    return np.concatenate([means, np.full_like(means, other)], axis=2)


def test_a_straight_line_is_even_and_a_late_jump_is_not():
    straight = weighting.summary(found(0.1, 0.26, 0.4733, 0.6867, 0.9))
    late = weighting.summary(found(0.1, 0.1, 0.1, 0.1, 0.9))
    assert straight["range"]["mean"] == late["range"]["mean"] == pytest.approx(0.8)
    assert straight["unevenness"] == pytest.approx(0, abs=0.01)
    assert late["unevenness"] == pytest.approx(0.8 * 1.1 / 1.5, abs=0.01)
    assert straight["backward"] == late["backward"] == 0


def test_falls_and_costs():
    summary = weighting.summary(found(0.5, 0.6, 0.7, 0.4, 0.8))
    assert summary["backward"] == pytest.approx(0.3)
    assert summary["cost"]["mean"] == 0


def test_page_and_plot(tmp_path):
    modes = {
        mode: weighting.summary(found(0.1, 0.2, 0.4, 0.6, 0.7 + i / 100))
        for i, mode in enumerate(weighting.MEASURED)
    }
    report = {
        "weights": list(weighting.WEIGHTS),
        "seeds": 2,
        "modes": modes,
        "steps": 20,
        "guidance_scale": 3.0,
        "hardware": "some",
        "minutes": 1,
    }
    text = weighting.page(report)
    assert all(f"| `{mode}` |" in text for mode in MODES if mode != "none")
    weighting.plot(report, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_the_committed_page_says_what_was_measured():
    report = json.loads((ROOT / "weights" / "weighting.json").read_text())
    assert (ROOT / "docs" / "weighting.md").read_text() == weighting.page(report)
