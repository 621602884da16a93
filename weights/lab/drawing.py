"""Pictures of prompts by a model of the emoji world, and what the oracle finds in them."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from diffusers import StableDiffusionPipeline
from PIL import Image

from clipcond import Conditioner, emoji
from clipcond.emoji.world import SHIPPED
from clipcond.generation import draw

HARD = ("two objects", "counting", "position", "color attribution")
Rows = Sequence[Sequence[Image.Image | np.ndarray]]


def hard_prompts(
    count: int, preset: str = SHIPPED, split: Literal["held_out", "train"] = "held_out"
) -> list[str]:
    """`count` prompts of the hard tasks, in equal parts."""
    found = emoji.tasks(preset, split=split)
    return [prompt for name in HARD for prompt in found[name][: count // len(HARD)]]


class Studio:
    """The shipped pipeline, its conditioner, and settings: prompts and seeds to pictures."""

    def __init__(self, args: argparse.Namespace, preset: str = SHIPPED) -> None:
        self.preset = preset
        self.pipe = StableDiffusionPipeline.from_pretrained(args.model).to(args.device)
        self.conditioner = Conditioner.from_pipeline(self.pipe)
        self.settings = dict(num_inference_steps=args.steps, guidance_scale=args.guidance_scale)
        self.batch_size = args.batch_size

    def draw(self, prompts: list[str], seeds: list[int], name: str) -> list[Image.Image]:
        """One picture for each prompt and seed."""
        self.pipe.set_progress_bar_config(desc=name)
        return draw(
            self.pipe,
            lambda part: self.conditioner(prompts[part]).kwargs_for(self.pipe),
            seeds,
            batch_size=self.batch_size,
            **self.settings,
        )

    def table(self, prompts: list[str], count: int, name: str) -> list[list[Image.Image]]:
        """`count` pictures of each prompt, seeds 0 to count - 1."""
        flat = self.draw(
            [p for p in prompts for _ in range(count)], list(range(count)) * len(prompts), name
        )
        return [flat[i : i + count] for i in range(0, len(flat), count)]


def judged(
    asked: Iterable[str | emoji.Scene], rows: Rows, preset: str = SHIPPED
) -> list[tuple[emoji.Verdict, ...]]:
    """The oracle's verdict on each picture of each prompt or scene."""
    return [emoji.verdicts(row, what, preset) for what, row in zip(asked, rows, strict=True)]
