"""Pictures of prompts by a model of the emoji world, and what the oracle finds in them."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm

from clipcond import Conditioner, emoji
from clipcond.emoji.world import SHIPPED

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
        self.pipe.set_progress_bar_config(disable=True)
        self.conditioner = Conditioner.from_pipeline(self.pipe)
        self.settings = dict(num_inference_steps=args.steps, guidance_scale=args.guidance_scale)
        self.batch_size = args.batch_size

    def draw(self, prompts: list[str], seeds: list[int], name: str) -> list[Image.Image]:
        """One picture for each prompt and seed."""
        images: list[Image.Image] = []
        for start in tqdm(range(0, len(prompts), self.batch_size), desc=name, unit="batch"):
            part = slice(start, start + self.batch_size)
            generators = [torch.Generator().manual_seed(seed) for seed in seeds[part]]
            inputs = self.conditioner(prompts[part]).kwargs_for(self.pipe)
            images += self.pipe(**inputs, **self.settings, generator=generators).images
        return images

    def table(self, prompts: list[str], count: int, name: str) -> list[list[Image.Image]]:
        """`count` pictures of each prompt, seeds 0 to count - 1."""
        flat = self.draw(
            [p for p in prompts for _ in range(count)], list(range(count)) * len(prompts), name
        )
        return [flat[i : i + count] for i in range(0, len(flat), count)]


def judged(
    asked: Iterable[str | emoji.Scene], rows: Rows, preset: str = SHIPPED
) -> list[list[emoji.Verdict]]:
    """The oracle's verdict on each picture of each prompt or scene."""
    wanted = (emoji.expected(what, preset) for what in asked)
    return [
        [emoji.check(image, requirements, preset) for image in row]
        for requirements, row in zip(wanted, rows, strict=True)
    ]
