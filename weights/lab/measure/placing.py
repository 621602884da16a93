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
CHOSEN, MORE = 0.3, 40  # the best of them, measured again on so many other pairs
# each region says the whole picture, with the weight on what stands there; found on pairs that the model was trained on
SCENE = "({}:2) and ({}:0.3)"
NEAR_LEFT, NEAR_RIGHT = (0.0, 0.25, 0.4, 0.75), (0.6, 0.25, 1.0, 0.75)


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
    """How often both objects are where they were asked for."""
    pairs = weighted_pairs("held_out", PAIRS + MORE)
    pairs, others = pairs[:PAIRS], pairs[PAIRS:]
    return {
        "seeds": SEEDS,
        "plain": placed(studio, pairs, [], None),
        "rows": [
            {"weight": weight, "way": way} | placed(studio, pairs, halves(pairs, weight), way)
            for weight in WEIGHTS
            for way in WAYS
        ],
        "others": {
            "plain": placed(studio, others, [], None),
            "chosen": placed(studio, others, halves(others, CHOSEN), "attention"),
            "scenes": [{"way": way} | placed(studio, others, scenes(others), way) for way in WAYS],
        },
    }


def placed(studio: Studio, pairs: list[Pair], regions: list[list[Region]], way: Way | None) -> Json:
    """What pictures show of pairs that are asked for side by side; without regions where there is no way."""
    asked = [pair for pair in pairs for _ in range(SEEDS)]
    prompts = [f"{a} and {b}" for _, _, a, b, _ in asked]
    each = [there for there in regions for _ in range(SEEDS)]
    conditioning = studio.conditioner(prompts, regions=each)
    return summary(asked, drawn(studio, conditioning, way), studio.preset)


def halves(pairs: list[Pair], weight: float) -> list[list[Region]]:
    """The first object of each pair in the left, the second in the right half."""
    return [
        [Region(a, box=LEFT, weight=weight), Region(b, box=RIGHT, weight=weight)]
        for _, _, a, b, _ in pairs
    ]


def scenes(pairs: list[Pair]) -> list[list[Region]]:
    """Both objects in either half, one of them as hardly there, and between the halves only the base prompt."""
    return [
        [
            Region(SCENE.format(a, b), box=NEAR_LEFT),
            Region(SCENE.format(b, a), box=NEAR_RIGHT),
        ]
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
    others = found["others"]
    again = [
        ("`A and B` without regions", others["plain"]),
        (f"halves by attention, weight {CHOSEN:g}", others["chosen"]),
        *((f"scenes by {row['way']}", row) for row in others["scenes"]),
    ]
    best = max(row["placed"]["mean"] for _, row in again)
    return {
        "placed": table(
            ("", "A left and B right", "both somewhere"),
            [(name, percent(row["placed"]), percent(row["there"])) for name, row in rows],
        ),
        "placed_pairs": str(found["plain"]["placed"]["prompts"]),
        "placed_seeds": str(found["seeds"]),
        "chosen": f"{CHOSEN:g}",
        "other_pairs": str(others["plain"]["placed"]["prompts"]),
        "placed_again": table(
            ("", "A left and B right", "both somewhere"),
            [(name, percent(row["placed"]), percent(row["there"])) for name, row in again],
        ),
        "placed_target": f"The aim was {100 * TARGET:.0f} %, which is {'met' if best >= TARGET else 'missed'}.",
    }
