"""`[a:b:f]`: which of both objects is there, against the share of the steps after which the prompt changes."""

import numpy as np

from weights.lab.drawing import Studio, seen
from weights.lab.evaluate import weighted_pairs
from weights.lab.reports import Json, interval

FRACTIONS = tuple(tenth / 10 for tenth in range(11))
PAIRS, SEEDS = 16, 2
FOXES = 12  # pictures of a fox that becomes a pumpkin, at each fraction


def measure(studio: Studio) -> Json:
    """Presence of the first and of the second: of a fox and a pumpkin, and of held-out pairs."""
    pairs = [(a, b, *phrases) for a, b, *phrases, _ in weighted_pairs("held_out", PAIRS)]
    found = {
        "fox and pumpkin": curve(studio, [("fox", "pumpkin", "a fox", "a pumpkin")], FOXES),
        "pairs": curve(studio, pairs, SEEDS),
    }
    return {
        "fractions": list(FRACTIONS),
        # of one pair the pictures are what is independent, of several the pairs
        "fox and pumpkin": summary(found["fox and pumpkin"].swapaxes(1, 2)[:, :, 0]),
        "pairs": summary(found["pairs"].mean(2)),
        "seeds": SEEDS,
    }


def curve(studio: Studio, pairs: list[tuple[str, ...]], count: int) -> np.ndarray:
    """Whether each object is there: [fractions, pairs, pictures, 2]."""
    return np.array([
        seen(
            studio.table(
                [f"[{a}:{b}:{fraction:.1f}]" for _, _, a, b in pairs], count, f"switch {fraction}"
            ),
            [pair[:2] for pair in pairs],
        )
        for fraction in FRACTIONS
    ]).astype(float)  # fmt: skip


def summary(found: np.ndarray) -> Json:
    """From presence [fractions, prompts, 2]; `half` is where both are equally often there, None where never."""
    first, second = found[..., 0], found[..., 1]
    return {
        "first": [interval(row) for row in first],
        "second": [interval(row) for row in second],
        "half": crossing((first - second).mean(1)),
    }


def crossing(difference: np.ndarray) -> float | None:
    """The fraction at which the first object begins to be there more often than the second."""
    for left in range(len(FRACTIONS) - 1):
        below, above = difference[left : left + 2]
        if below < 0 <= above:
            share = -below / (above - below)
            return float(
                FRACTIONS[left] + share * (FRACTIONS[left + 1] - FRACTIONS[left])
            )
    return None
