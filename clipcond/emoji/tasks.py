"""GenEval's tasks, rebuilt in this world on combinations that training never saw.

Ghosh et al. 2023, "GenEval". Figures on these tasks are about this world and say nothing beside GenEval's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from clipcond.emoji.captions import compose, corner, describe
from clipcond.emoji.scenes import Scene, draw, is_held_out
from clipcond.emoji.world import PRESETS, SHIPPED, color_and_noun

PROMPTS_PER_TASK = 100
_FIRST_SEED = 1 << 50
_FILLERS = 3  # with four things and their places, 80 to 150 tokens


@dataclass(frozen=True, kw_only=True)
class _Task:
    kind: Literal["single", "count", "pair", "mixed", "several"]
    wanted: Callable[[Scene], bool] = lambda _scene: True
    with_relation: bool = False
    with_background: bool = False
    described: bool = False
    denied: bool = False


def _colored(sprite: str) -> bool:
    return color_and_noun(sprite)[0] is not None


def _different_colors_and_shapes(scene: Scene) -> bool:
    parts = [color_and_noun(item.sprite) for item in scene.items]
    return all(color for color, _ in parts) and all(a != b for a, b in zip(*parts, strict=True))


def _two_colored_of_three(scene: Scene) -> bool:
    parts = [color_and_noun(item.sprite) for item in scene.items]
    colored = [part for part in parts if part[0]]
    return (
        len(parts) == 3 and len(colored) == 2 and all(a != b for a, b in zip(*colored, strict=True))
    )


_TASKS: dict[str, _Task] = {
    "single object": _Task(
        kind="single",
        wanted=lambda scene: not _colored(scene.items[0].sprite),
        with_background=True,
    ),
    "colors": _Task(
        kind="single", wanted=lambda scene: _colored(scene.items[0].sprite), with_background=True
    ),
    "counting": _Task(kind="count"),
    "two objects": _Task(kind="pair"),
    "position": _Task(
        kind="pair", wanted=lambda scene: scene.relation is not None, with_relation=True
    ),
    "color attribution": _Task(kind="pair", wanted=_different_colors_and_shapes),
    "three objects": _Task(kind="several", wanted=lambda scene: len(scene.items) == 3),
    "four objects": _Task(kind="several", wanted=lambda scene: len(scene.items) == 4),
    "two relations": _Task(
        kind="several",
        wanted=lambda scene: len(scene.items) == 3 and corner(scene) is not None,
        with_relation=True,
    ),
    "color attribution among three": _Task(kind="several", wanted=_two_colored_of_three),
    "counting beside another": _Task(kind="mixed"),
    "negation": _Task(kind="pair", denied=True),
    "beyond 77 tokens": _Task(
        kind="several", wanted=lambda scene: len(scene.items) == 4, described=True
    ),
}


def tasks(
    preset: str = SHIPPED, *, split: Literal["held_out", "train"] = "held_out"
) -> dict[str, list[str]]:
    """{task: 100 different prompts}: held-out ones for measuring, training ones for choosing settings.

    A preset that draws no scenes of a task's kind has no such task: the small one has none of more than two things.
    """
    return {
        name: list(_prompts(i, task, preset, held_out=split == "held_out"))
        for i, (name, task) in enumerate(_TASKS.items())
        if task.kind in PRESETS[preset].kinds and (PRESETS[preset].denied or not task.denied)
    }


@cache
def _prompts(index: int, task: _Task, preset: str, *, held_out: bool) -> tuple[str, ...]:
    rng = np.random.default_rng((_FIRST_SEED, index, held_out))
    found: dict[str, None] = {}
    while len(found) < PROMPTS_PER_TASK:
        scene = draw(rng, PRESETS[preset], task.kind)
        if is_held_out(scene) != held_out or bool(scene.absent) != task.denied:
            continue
        if not task.wanted(scene):
            continue
        text = (
            describe(scene, rng, fillers=_FILLERS)
            if task.described
            else compose(
                scene, rng, with_relation=task.with_relation, with_background=task.with_background
            )
        )
        found[text] = None
    return tuple(found)
