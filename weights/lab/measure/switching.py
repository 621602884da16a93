"""`[a:b:f]`: which of both objects is there, against the share of the steps after which the prompt changes."""

import argparse
from typing import Any

import numpy as np

from weights.lab.drawing import Studio, seen
from weights.lab.evaluate import weighted_pairs
from weights.lab.reports import Json, draw_band, interval, percent, table

FRACTIONS = tuple(tenth / 10 for tenth in range(11))
PAIRS, SEEDS = 20, 1
FOXES = 8  # pictures of a fox that becomes a pumpkin, at each fraction


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
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
            return float(FRACTIONS[left] + share * (FRACTIONS[left + 1] - FRACTIONS[left]))
    return None


def told(found: Json) -> dict[str, str]:
    """For the page."""
    fox = found["fox and pumpkin"]
    half = found["pairs"]["half"]
    return {
        "presence": table(
            ("f", "fox", "pumpkin", "first of a pair", "second of a pair"),
            [
                (f"{fraction:.1f}", *map(percent, row))
                for fraction, *row in zip(
                    found["fractions"],
                    fox["first"],
                    fox["second"],
                    found["pairs"]["first"],
                    found["pairs"]["second"],
                    strict=True,
                )
            ],
        ),
        "foxes": str(fox["first"][0]["prompts"]),
        "pairs": str(found["pairs"]["first"][0]["prompts"]),
        "pair_seeds": str(found["seeds"]),
        "half": "nowhere" if half is None else f"at f = {half:.2f}",
    }


def plot(found: Json, axes: Any) -> None:
    """Presence of both against the fraction."""
    for key, color in (("first", "tab:orange"), ("second", "tab:blue")):
        draw_band(
            axes, found["fractions"], found["pairs"][key], label=f"{key} of a pair", color=color
        )
        means = [point["mean"] for point in found["fox and pumpkin"][key]]
        name = {"first": "fox", "second": "pumpkin"}[key]
        axes.plot(found["fractions"], means, label=name, color=color, linestyle=":")
    axes.set(xlabel="f", ylabel="found by the oracle", title="[first:second:f]", ylim=(0, 1.02))
    axes.legend(frameon=False)
