"""A shape of any colour but one: what overlaps with the prompt, taken away by a negative prompt, by AND_PERP and by AND."""

import argparse

import numpy as np

from clipcond import emoji
from clipcond.emoji.world import SHAPES
from weights.lab.drawing import Studio
from weights.lab.measure.composing import WEIGHTS
from weights.lab.reports import Json, interval, percent, table

SEEDS = 10  # pictures of each shape
Case = tuple[
    str, int, str
]  # a shape, the seed of a picture of it, and the sprite that this shows: not wanted any more


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
    """How often the colour that a shape had with the same seed is gone, and how often the shape is there in another."""
    asked = [(shape, seed) for shape in SHAPES for seed in range(SEEDS)]
    drawn = sprites(studio, [f"a {shape}" for shape, _ in asked], [seed for _, seed in asked])
    cases = [
        (shape, seed, shown[0])
        for (shape, seed), shown in zip(asked, drawn, strict=True)
        if len(shown) == 1 and shown[0].endswith(shape)
    ]
    negatives = [f"a {sprite}" for _, _, sprite in cases]
    return {
        "cases": len(cases),
        "weights": list(WEIGHTS),
        "negative": repainted(studio, cases, "a {shape}", negative_prompt=negatives),
        "without": {
            operator: [
                repainted(studio, cases, f"a {{shape}} {operator} a {{sprite}} :-{weight}")
                for weight in WEIGHTS
            ]
            for operator in ("AND_PERP", "AND")
        },
    }


def sprites(
    studio: Studio, prompts: list[str], seeds: list[int], **asked: list[str]
) -> list[list[str]]:
    """What the oracle finds in a picture of each prompt."""
    images = studio.draw(prompts, seeds, "a shape of another colour", **asked)
    return [[item.sprite for item in emoji.read(image, studio.preset).items] for image in images]


def repainted(studio: Studio, cases: list[Case], prompt: str, **asked: list[str]) -> Json:
    """Pictures of all cases from their seeds."""
    prompts = [prompt.format(shape=shape, sprite=sprite) for shape, _, sprite in cases]
    return summary(cases, sprites(studio, prompts, [seed for _, seed, _ in cases], **asked))


def summary(cases: list[Case], drawn: list[list[str]]) -> Json:
    """How often the sprite is gone, and how often its shape is there alone in another colour."""
    gone = [sprite not in shown for (_, _, sprite), shown in zip(cases, drawn, strict=True)]
    other = [
        absent and len(shown) == 1 and shown[0].endswith(shape)
        for absent, (shape, _, _), shown in zip(gone, cases, drawn, strict=True)
    ]
    return {"gone": interval(np.array(gone)), "other": interval(np.array(other))}


def told(found: Json) -> dict[str, str]:
    """For the page."""
    rows = [("`a heart`, negative prompt `a red heart`", found["negative"])]
    rows += [
        (f"`a heart {operator} a red heart :-{weight:g}`", each)
        for operator, by_weight in found["without"].items()
        for weight, each in zip(found["weights"], by_weight, strict=True)
    ]
    return {
        "cases": str(found["cases"]),
        "repainted": table(
            ("prompt, of a heart that was red", "the red one is gone", "a heart of another colour is there"),
            [(name, percent(each["gone"]), percent(each["other"])) for name, each in rows],
        ),
    }  # fmt: skip
