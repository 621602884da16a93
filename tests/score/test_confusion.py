"""The table of confusions: counted, and divided."""

import pytest

from clipcond.errors import ScoreError
from clipcond.score import confusion_of


def test_confusion_counts_and_divides():
    truth = ["a", "a", "a", "b", "b", "c"]
    answers = ["a", "a", "b", "b", "unknown", "a"]
    found = confusion_of(truth, answers, ["a", "b", "c"])
    assert found.rows() == [
        {"true": "a", "a": 2, "b": 1, "c": 0, "unknown": 0},
        {"true": "b", "a": 0, "b": 1, "c": 0, "unknown": 1},
        {"true": "c", "a": 1, "b": 0, "c": 0, "unknown": 0},
    ]
    assert found.accuracy.mean == pytest.approx(3 / 6)
    per_class = {row["class"]: row for row in found.per_class()}
    assert per_class["a"]["recall"] == per_class["a"]["precision"] == pytest.approx(2 / 3)
    assert per_class["b"] == {
        "class": "b", "pictures": 2, "recall": 0.5, "precision": 0.5, "f1": 0.5,
    }  # fmt: skip
    assert per_class["c"]["precision"] is None
    with pytest.raises(ScoreError, match="truth: 'x' is none of the classes"):
        confusion_of(["x"], ["a"], ["a"])
    with pytest.raises(ScoreError, match="1 truths and 2 answers"):
        confusion_of(["a"], ["a", "a"], ["a"])
