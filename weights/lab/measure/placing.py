"""Regions: one object for the left half and one for the right, by each of the ways that a UNet has, against the plain prompt."""

import argparse
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from clipcond import Conditioning, Region, emoji
from clipcond.emoji.scenes import Item
from clipcond.emoji.world import UNITS
from clipcond.families.finding import family_named
from clipcond.families.inputs import POSITIVE
from clipcond.generation import draw
from clipcond.hooks.session import acting
from clipcond.hooks.states import States
from weights.lab.drawing import Studio
from weights.lab.evaluate import Pair, weighted_pairs
from weights.lab.reports import Json, interval, percent, table

PAIRS, SEEDS = 24, 1
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
TARGET = 0.95
Way = Literal["attention", "noise"]
WAYS: tuple[Way, ...] = ("attention", "noise")
WEIGHTS = (1.0, 0.5, 0.3, 0.2)  # of both regions; the rest is the base prompt's


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
    """How often both objects are where they were asked for."""
    pairs = [pair for pair in weighted_pairs("held_out", PAIRS) for _ in range(SEEDS)]
    prompts = [f"{a} and {b}" for _, _, a, b, _ in pairs]
    return {
        "seeds": SEEDS,
        "plain": summary(pairs, drawn(studio, studio.conditioner(prompts), None), studio.preset),
        "rows": [
            {"weight": weight, "way": way}
            | summary(pairs, drawn(studio, divided, way), studio.preset)
            for weight in WEIGHTS
            for divided in [studio.conditioner(prompts, regions=halves(pairs, weight))]
            for way in WAYS
        ],
    }


def halves(pairs: list[Pair], weight: float) -> list[list[Region]]:
    """The first object of each pair in the left, the second in the right half."""
    return [
        [Region(a, box=LEFT, weight=weight), Region(b, box=RIGHT, weight=weight)]
        for _, _, a, b, _ in pairs
    ]


def drawn(studio: Studio, conditioning: Conditioning, way: Way | None) -> list[Image.Image]:
    """A picture of each prompt; regions in a way that need not be the family's own."""
    pipe, family = studio.pipe, family_named(conditioning.family)
    states = States.of(pipe, family, conditioning.sides, conditioning.scripts)
    attached = (
        acting(pipe, family, "attached", replace(states, regions=way)) if way else nullcontext()
    )
    seeds = list(range(SEEDS)) * (len(conditioning.scripts[POSITIVE]) // SEEDS)
    pipe.set_progress_bar_config(desc=f"regions: {way or 'none'}")
    with attached:
        inputs = conditioning.kwargs_for(pipe)
        return draw(pipe, lambda _: inputs, seeds, batch_size=len(seeds), **studio.settings)


def summary(pairs: list[Pair], images: list[Image.Image], preset: str) -> Json:
    """How often the first is in the left and the second in the right half, and how often both are there."""
    placed, there = [], []
    for (first, second, *_), image in zip(pairs, images, strict=True):
        items = emoji.read(image, preset).items
        left = [in_left_half(item) for item in items if item.sprite == first]
        right = [not in_left_half(item) for item in items if item.sprite == second]
        placed.append(left == [True] and right == [True])
        there.append(bool(left and right))
    return {
        name: interval(np.array(each, dtype=float).reshape(-1, SEEDS).mean(1))
        for name, each in (("placed", placed), ("there", there))
    }


def in_left_half(item: Item) -> bool:
    """Whether its middle is."""
    return item.x + item.size / 2 < UNITS / 2


def told(found: Json) -> dict[str, str]:
    """For the page."""
    rows = [("`A and B` without regions", found["plain"])]
    rows += [(f"by {row['way']}, weight {row['weight']:g}", row) for row in found["rows"]]
    best = max(found["rows"], key=lambda row: row["placed"]["mean"])
    return {
        "placed": table(
            ("", "A left and B right", "both somewhere"),
            [(name, percent(row["placed"]), percent(row["there"])) for name, row in rows],
        ),
        "placed_pairs": str(found["plain"]["placed"]["prompts"]),
        "placed_seeds": str(found["seeds"]),
        "placed_target": f"The aim was {100 * TARGET:.0f} %, which is "
        + ("met" if best["placed"]["mean"] >= TARGET else "missed")
        + f": the best of these rows has {percent(best['placed'])}.",
    }
