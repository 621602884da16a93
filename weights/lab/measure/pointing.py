"""The pointing game: does the largest number of a word's attention map lie on what the word is for?

    python -m weights.lab.measure.pointing                                  # held-out prompts
    python -m weights.lab.measure.pointing --split train --prompts 100      # to choose layers and steps by
    python -m weights.lab.measure.pointing --prompts 8 --layers mid_block   # a dry run

Prompts of two different objects, one picture each. An object counts where the oracle finds it exactly once; a hit is a
maximum whose place, the middle of it, lies in the object's box (Zhang et al. 2016, "Top-down Neural Attention by Excitation
Backprop"). By chance, a hit is as likely as the box is large. Intervals are over prompts.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

import clipcond
from clipcond import emoji
from clipcond.emoji.captions import SYNONYMS
from clipcond.emoji.requirements import Count
from clipcond.emoji.scenes import Item
from clipcond.emoji.world import UNITS, color_and_noun
from weights.lab.drawing import Studio
from weights.lab.reports import SAMPLING, Json, hardware, interval, parser, write

TASKS = ("two objects", "position")


@dataclass(frozen=True, slots=True)
class Target:
    """A word of a prompt, and where what it is for stands in the prompt's picture."""

    word: str
    item: Item


def word_for(sprite: str, prompt: str) -> str:
    """A sprite as a prompt calls it: "kitty", "blue disc"."""
    color, noun = color_and_noun(sprite)
    words = SYNONYMS.get(noun, (noun,))
    said = max((w for w in words if re.search(rf"\b{re.escape(w)}\b", prompt)), key=len)
    return f"{color} {said}" if color else said


def targets(prompt: str, image: Image.Image) -> list[Target]:
    """What of a prompt the oracle finds exactly once; nothing of prompts that ask for one thing only."""
    asked = {r.group.sprite for r in emoji.expected(prompt) if isinstance(r, Count)}
    if len(asked) < 2:
        return []
    items = emoji.read(image).items
    found = {name: [item for item in items if item.sprite == name] for name in sorted(asked)}
    return [Target(word_for(name, prompt), own[0]) for name, own in found.items() if len(own) == 1]


def hits(heat: torch.Tensor, item: Item) -> bool:
    """Whether a map's [h, w] maximum lies on an item."""
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    y, x = UNITS * (row + 0.5) / heat.shape[0], UNITS * (column + 0.5) / heat.shape[1]
    return item.x <= x <= item.x + item.size and item.y <= y <= item.y + item.size


def measure(studio: Studio, prompts: Sequence[str], layers: Sequence[str] = ()) -> Json:
    """The rate of hits over prompts, how many prompts and objects it is of, and what chance would give."""
    rates: list[float] = []
    boxes: list[float] = []
    size = studio.batch_size
    with clipcond.attention_maps(studio.pipe, layers=layers) as maps:
        for start in range(0, len(prompts), size):
            part = list(prompts[start : start + size])
            seeds = list(range(start, start + len(part)))
            images = studio.draw(part, seeds, f"pointing {start + len(part)}")
            for number, (prompt, image) in enumerate(zip(part, images, strict=True)):
                found = targets(prompt, image)
                if found:
                    rates.append(np.mean([hits(maps.of(t.word)[number], t.item) for t in found]))
                    boxes += [(t.item.size / UNITS) ** 2 for t in found]
    return {"hits": interval(np.array(rates)), "objects": len(boxes), "chance": np.mean(boxes)}


def main() -> None:
    """Print the rate as JSON."""
    options = parser(__doc__, *SAMPLING, "json")
    options.add_argument("--prompts", type=int, default=200, help="100 of either task, at most")
    options.add_argument("--split", choices=("held_out", "train"), default="held_out")
    options.add_argument("--layers", nargs="*", default=())
    args: argparse.Namespace = options.parse_args()
    found = emoji.tasks(split=args.split)
    prompts = [p for name in TASKS for p in found[name][: args.prompts // len(TASKS)]]
    about = {"split": args.split, "steps": args.steps, "hardware": hardware(args.device)}
    write(measure(Studio(args), prompts, args.layers) | about, args.json)


if __name__ == "__main__":
    main()
