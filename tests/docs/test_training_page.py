"""The page on training a CLIP: its figures are the measured ones."""

import json

import pytest

from weights.lab.measure import training


def test_the_committed_page_says_what_was_measured():
    found = json.loads(training.FILE.read_text())
    beside = [json.loads(f.read_text()) for f in (training.GRADIENTS, training.THROUGHPUT)]
    assert training.PAGE.read_text() == training.page(found, *beside)


@pytest.mark.parametrize(
    ("pictures", "figure", "least"), [("digits", "zero_shot", 0.93), ("scenes", "sprites", 0.9)]
)
def test_both_towers_learn_in_minutes(pictures, figure, least):
    found = json.loads(training.FILE.read_text())[pictures]
    for preset in training.TOWERS:
        assert found[preset][figure]["mean"] >= least
        assert found[preset]["minutes"] <= 20
