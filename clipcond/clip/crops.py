"""What becomes of a picture that is no square: a policy each, from its size to the squares that the image tower reads.

A policy knows no picture, but how to get one resized: so the same few lines serve Pillow's pictures and tensors on a device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from clipcond.errors import ScoreError

# of the resized picture: a 1 x 100,000 strip would become 224 x 22,400,000
_MAX_PIXELS = 200_000_000
_MAX_VIEWS = 16

Pixels = np.ndarray | torch.Tensor  # uint8 [height, width, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A picture to be cut to squares.

    Attributes:
        size: (width, height) in pixels.
        resized: the picture in another (width, height).
        shortest_edge: that the shorter side is resized to, where the aspect is kept.
        crop: (height, width) of the squares.
        halves: where half a pixel goes when the middle is cut out, one of `MIDDLES`.
        fill: bytes of the colour that fills what is left.
    """

    size: tuple[int, int]
    resized: Callable[[tuple[int, int]], Pixels]
    shortest_edge: int
    crop: tuple[int, int]
    halves: str
    fill: tuple[float, float, float]


def center(cut: Cut) -> list[Pixels]:
    """The middle of the picture with its shorter side to size."""
    resized = _shorter_to_size(cut)
    height, width = cut.crop
    middle = MIDDLES[cut.halves]
    top, left = middle(resized.shape[0] - height), middle(resized.shape[1] - width)
    return [resized[top : top + height, left : left + width]]


def squash(cut: Cut) -> list[Pixels]:
    """All of it, both sides to size."""
    height, width = cut.crop
    return [cut.resized((width, height))]


def pad(cut: Cut) -> list[Pixels]:
    """All of it with its longer side to size, in the middle of a square."""
    height, width = cut.crop
    ratio = max(cut.size[1] / height, cut.size[0] / width)
    inner = (max(1, round(cut.size[0] / ratio)), max(1, round(cut.size[1] / ratio)))
    resized = cut.resized(inner)
    filled = _filled(resized, (height, width), cut.fill)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    filled[top : top + inner[1], left : left + inner[0]] = resized
    return [filled]


def multi(cut: Cut) -> list[Pixels]:
    """As many squares as it takes to cover the longer side, evenly spaced."""
    count = -(-max(cut.size) // min(cut.size))
    if count > _MAX_VIEWS:
        raise ScoreError(
            f"image: got a strip of {cut.size[0]} x {cut.size[1]}, which takes {count} squares to cover and "
            f"{_MAX_VIEWS} are the most; cut out the part to score"
        )
    resized = _shorter_to_size(cut)
    height, width = cut.crop
    room_y, room_x = resized.shape[0] - height, resized.shape[1] - width
    middle = MIDDLES[cut.halves]
    squares = []
    for i in range(count):
        # spread over the longer side, in the middle of the shorter; a single one in the middle of both
        top, left = middle(room_y), middle(room_x)
        if count > 1 and room_y > room_x:
            top = int(room_y * (i / (count - 1)))
        elif count > 1:
            left = int(room_x * (i / (count - 1)))
        squares.append(resized[top : top + height, left : left + width])
    return squares


POLICIES: dict[str, Callable[[Cut], list[Pixels]]] = {
    "center": center,
    "squash": squash,
    "pad": pad,
    "multi": multi,
}
"""Crop policies: what becomes of a picture that is not square."""
# pixels before the middle, of those that are left over
MIDDLES: dict[str, Callable[[int], int]] = {
    "down": lambda room: room // 2,
    "even": lambda room: round(room / 2),
}


def _shorter_to_size(cut: Cut) -> Pixels:
    width, height = cut.size
    edge = cut.shortest_edge
    if width <= height:
        target = (edge, int(edge * height / width))
    else:
        target = (int(edge * width / height), edge)
    if target[0] * target[1] > _MAX_PIXELS:
        raise ScoreError(
            f"image: got a strip of {width} x {height}, which CLIP would resize to {target[0]} x {target[1]}; "
            "cut out the part to score"
        )
    return cut.resized(target)


def _filled(like: Pixels, size: tuple[int, int], color: tuple[float, float, float]) -> Any:
    """A picture of one colour, of the kind and on the device of another."""
    shape = (*size, 3)
    if isinstance(like, torch.Tensor):
        return like.new_tensor(color).expand(shape).clone()
    return np.full(shape, color, np.uint8)
