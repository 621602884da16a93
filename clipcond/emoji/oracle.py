"""The oracle: reads what a picture of this world shows, and refuses what only resembles it.

A sprite counts only if it fits closely, clearly better than any other sprite in its place, and with its fine detail;
what is left once all are taken out must be nearly nothing. The limits below were chosen on rendered scenes and on
near misses (weights/lab/measure/oracle.py), not fitted to what a model drew.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from clipcond.emoji.matching import MAX_MISFIT, Match, Matcher
from clipcond.emoji.scenes import Item
from clipcond.emoji.world import BACKGROUNDS, PRESETS, SHIPPED
from clipcond.errors import ClipcondError

MIN_MARGIN = 0.006  # by how much any other sprite in its place must fit worse
MAX_WORST_HALF = 0.8  # squared error of any half of a sprite, as a share of that half
MIN_SHARPNESS = 0.3  # share of a sprite's fine detail
MAX_LEFT = 8.0  # what nothing explains, as an RMS level over the picture
MAX_BACKGROUND_ERROR = 28.0  # RGB distance, in levels


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture shows.

    Attributes:
        background: its name; None for one that is not of this world.
        items: the sprites.
        doubtful: something stands here, but it is not plainly this.
        left: RMS level of what no sprite explains, 0..255.
    """

    background: str | None
    items: tuple[Item, ...]
    doubtful: tuple[Item, ...]
    left: float

    @property
    def clean(self) -> bool:
        """Whether nothing visible is left unexplained."""
        return self.left <= MAX_LEFT


def read(image: Image.Image | np.ndarray, preset: str = SHIPPED) -> Reading:
    """Read one square picture of the emoji world.

    Args:
        image: PIL, or uint8 [height, width, 3]; at least 32 px a side (64 for `full`), larger ones are averaged down.
        preset: whose sprites and backgrounds to look for.

    Raises:
        ClipcondError: it is not square, or smaller.
    """
    picture = _pixels(image, PRESETS[preset].read_at)
    name, color = _background_of(picture, PRESETS[preset].backgrounds)
    matcher = Matcher(picture, color, preset)
    items: list[Item] = []
    doubtful: list[Item] = []
    for match in matcher.matches():
        (items if _plainly(match) else doubtful).append(match.item)
    left = matcher.rest.square().mean().sqrt().item()
    return Reading(name, tuple(items), tuple(doubtful), left)


def _plainly(match: Match) -> bool:
    return (
        match.misfit <= MAX_MISFIT
        and match.worst_half <= MAX_WORST_HALF
        and match.margin >= MIN_MARGIN
        and match.sharpness >= MIN_SHARPNESS
    )


def _pixels(image: Image.Image | np.ndarray, side: int) -> torch.Tensor:
    """A picture as float [3, side, side] in 0..255."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image = image.convert("RGB")
    if image.width != image.height or image.width < side:
        raise ClipcondError(
            f"the oracle reads square pictures of at least {side} x {side} pixels, "
            f"not {image.width} x {image.height}"
        )
    if image.width != side:
        image = image.resize((side, side), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(image, np.float32).copy()).permute(2, 0, 1)


def _background_of(
    picture: torch.Tensor, names: tuple[str, ...]
) -> tuple[str | None, torch.Tensor]:
    """The named colour that most of the picture is near to, and the colour that is really there."""
    flat = picture.flatten(1).T
    table = torch.tensor([BACKGROUNDS[name] for name in names], dtype=torch.float32)
    near = torch.cdist(flat, table) < 2 * MAX_BACKGROUND_ERROR
    best = int(near.sum(0).argmax())
    if near[:, best].float().mean() < 0.15:
        return None, flat.median(0).values
    color = flat[near[:, best]].median(0).values
    close = torch.linalg.vector_norm(color - table[best]) < MAX_BACKGROUND_ERROR
    return (names[best] if close else None), color
