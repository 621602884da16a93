"""The end of a training: old and new weights mixed where that was asked for, measured, and written as a CLIP folder."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clipcond.clip.checkpoints.export import save_clip
from clipcond.clip.towers import Clip
from clipcond.clip.training.building import trained
from clipcond.clip.training.evaluation import Evaluation
from clipcond.clip.training.interpolation import Interpolated, sweep, wise_ft
from clipcond.clip.training.settings import LAYOUTS
from clipcond.clip.training.towers import Towers
from clipcond.files import State

ALPHAS = tuple(i / 10 for i in range(11))


def mix(
    clip: Clip, towers: Towers, before: State, evaluate: Callable[[Clip], Evaluation]
) -> tuple[Interpolated[Evaluation], ...]:
    """Leave towers with the mixture of their weights before and now that is best on the held-out pictures (WiSE-FT).

    Best by zero-shot accuracy where classes are known, otherwise by the mean of both ways' R@1; of equals, the one nearest to
    the new weights.

    Returns:
        What each share of the new weights comes to.
    """
    after = {name: tensor.detach().clone() for name, tensor in towers.state_dict().items()}
    rows = sweep(
        towers, before, after, alphas=ALPHAS, evaluate=lambda: evaluate(trained(clip, towers))
    )
    best = max(rows, key=lambda row: (_worth(row.result), row.alpha))
    towers.load_state_dict(wise_ft(before, after, best.alpha))
    return rows


def _worth(found: Evaluation) -> float:
    if found.zero_shot:
        return found.zero_shot[1]
    return (found.image_to_text[1] + found.text_to_image[1]) / 2


def write(clip: Clip, out: Path, layout: str) -> None:
    """Write a CLIP's files into a folder that holds a training, each whole or as it was.

    Raises:
        CheckpointError: the layout has no place for this CLIP, or the disk refuses.
    """
    fresh = out / ".clip"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        save_clip(clip, fresh, layout=LAYOUTS[layout])
        # what says that there is a CLIP comes last
        for file in sorted(fresh.iterdir(), key=lambda f: (f.suffix == ".json", f.name)):
            os.replace(file, out / file.name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def layout_for(clip: Clip, *, biased: bool) -> str:
    """The layout that has a place for all of a CLIP: "hf" where that has."""
    plain = not clip.architecture.is_resnet and (clip.architecture.kind == "siglip" or not biased)
    return "hf" if plain else "openclip"
