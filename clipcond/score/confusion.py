"""How a classifier errs: who is taken for whom, and each class's recall and precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipcond.errors import ScoreError
from clipcond.score.statistics import Interval, interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts of answers.

    Attributes:
        classes: the true classes, rows of `counts`.
        answers: what may be answered, columns of `counts`: the classes, and "unknown" where it was given.
        counts: [classes, answers].
    """

    classes: tuple[str, ...]
    answers: tuple[str, ...]
    counts: np.ndarray

    @property
    def accuracy(self) -> Interval:
        """Share of right answers, and its interval over pictures."""
        right = int(np.trace(self.counts))
        return interval([1.0] * right + [0.0] * (int(self.counts.sum()) - right))

    def rows(self) -> list[dict[str, Any]]:
        """The table: a row for each true class, a column for each answer."""
        return [
            {"true": name, **dict(zip(self.answers, map(int, row), strict=True))}
            for name, row in zip(self.classes, self.counts, strict=True)
        ]

    def per_class(self) -> list[dict[str, Any]]:
        """Pictures, recall, precision and F1 of each class; None where there is nothing to divide by."""
        columns = (self.counts.diagonal(), self.counts.sum(1), self.counts.sum(0))
        return [
            {
                "class": name,
                "pictures": true,
                "recall": right / true if true else None,
                "precision": right / answered if answered else None,
                "f1": 2 * right / (true + answered) if true + answered else None,
            }
            for name, right, true, answered in zip(
                self.classes, *(column.tolist() for column in columns), strict=False
            )
        ]


def confusion_of(truth: Sequence[str], answers: Sequence[str], classes: Sequence[str]) -> Confusion:
    """Count answers against the truth.

    Args:
        truth: n true classes.
        answers: n answers.
        classes: all of them, in order; an answer beyond them, such as "unknown", gets a column of its own.

    Raises:
        ScoreError: another number of answers, none, or a true class that is none.
    """
    if len(truth) != len(answers) or not truth:
        raise ScoreError(f"got {len(truth)} truths and {len(answers)} answers; pass one for each")
    strange = [name for name in truth if name not in classes]
    if strange:
        raise ScoreError(f"truth: {strange[0]!r} is none of the classes {', '.join(classes)}")
    columns = [*classes, *dict.fromkeys(a for a in answers if a not in classes)]
    counts = np.zeros((len(classes), len(columns)), dtype=int)
    for true, answer in zip(truth, answers, strict=True):
        counts[classes.index(true), columns.index(answer)] += 1
    return Confusion(classes=tuple(classes), answers=tuple(columns), counts=counts)
