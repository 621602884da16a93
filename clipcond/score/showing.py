"""Ranked pictures as a notebook shows them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from clipcond.clip import load_picture
from clipcond.clip.images import ImageLike
from clipcond.errors import ScoreError
from clipcond.figures import figures

_MOST = 12


class Ranked:
    """Pictures with their seeds and scores, best first: what a ranking and a generation are."""

    __slots__ = ()

    images: Sequence[ImageLike]
    seeds: Sequence[int]
    scores: torch.Tensor

    def _repr_html_(self) -> str:
        rows = zip(self.images, self.seeds, self.scores.tolist(), strict=True)
        shown = [
            (_opened(image), f"{rank}. {_named(image)}seed {seed}, {score:.4f}")
            for rank, (image, seed, score) in zip(range(1, _MOST + 1), rows, strict=False)
        ]
        left = len(self.images) - len(shown)
        return figures(shown) + (f"<p>and {left} more</p>" if left else "")


def _named(image: ImageLike) -> str:
    return f"{Path(image).name}, " if isinstance(image, str | Path) else ""


def _opened(image: ImageLike) -> Image.Image:
    """The picture; grey where its file is no longer what it was when it was scored."""
    try:
        return load_picture(image)
    except ScoreError:
        return Image.new("RGB", (64, 64), "grey")
