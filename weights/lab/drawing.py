"""Pictures of prompts by a model of the emoji world, and what the oracle finds in them."""

import argparse
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Literal

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
        self.preset, self.model, self.device = preset, args.model, args.device
        self.settings = dict(num_inference_steps=args.steps, guidance_scale=args.guidance_scale)
        self.batch_size = args.batch_size

    @cached_property
    def pipe(self) -> StableDiffusionPipeline:
        """The model."""
        return StableDiffusionPipeline.from_pretrained(self.model).to(self.device)

    @cached_property
    def conditioner(self) -> Conditioner:
        """Of the model."""
        return Conditioner.from_pipeline(self.pipe)

    def draw(
        self, prompts: list[str], seeds: list[int], name: str, **asked: list[Any]
    ) -> list[Image.Image]:
        """One picture for each prompt and seed.

        Args:
            prompts: also such as change over the steps.
            seeds: as many.
            name: of the progress bar.
            **asked: what else the conditioner is asked for, for each prompt: `negative_prompt`, `regions`.
        """
        self.pipe.set_progress_bar_config(desc=name)
        images: list[Image.Image] = []
        for start in range(0, len(seeds), self.batch_size):
            part = slice(start, start + self.batch_size)
            conditioning = self.conditioner(
                prompts[part], **{option: each[part] for option, each in asked.items()}
            )
            with conditioning.attached(self.pipe):
                inputs = conditioning.kwargs_for(self.pipe)
                images += draw(
                    self.pipe,
                    lambda _, inputs=inputs: inputs,
                    seeds[part],
                    batch_size=self.batch_size,
                    **self.settings,
                )
        return images

    def table(
        self, prompts: list[str], count: int, name: str, **asked: list[Any]
    ) -> list[list[Image.Image]]:
        """`count` pictures of each prompt, seeds 0 to count - 1; `asked` as for `draw`."""

        def repeated(each: list[Any]) -> list[Any]:
            return [one for one in each for _ in range(count)]

        options = {option: repeated(each) for option, each in asked.items()}
        seeds = list(range(count)) * len(prompts)
        flat = self.draw(repeated(prompts), seeds, name, **options)
        return [flat[i : i + count] for i in range(0, len(flat), count)]


def judged(
    asked: Iterable[str | emoji.Scene], rows: Rows, preset: str = SHIPPED
) -> list[tuple[emoji.Verdict, ...]]:
    """The oracle's verdict on each picture of each prompt or scene."""
    return [emoji.verdicts(row, what, preset) for what, row in zip(asked, rows, strict=True)]


def seen(rows: Rows, sprites: Iterable[Sequence[str]], preset: str = SHIPPED) -> np.ndarray:
    """Whether the oracle finds each of a prompt's sprites in each of its pictures: bool [prompts, pictures, sprites]."""
    read = [[{item.sprite for item in emoji.read(i, preset).items} for i in row] for row in rows]
    return np.array([
        [[sprite in found for sprite in wanted] for found in row]
        for wanted, row in zip(sprites, read, strict=True)
    ])  # fmt: skip
