"""Pillow's resize on whatever device the pixels are on, equal to the last bit.

Pillow resizes eight-bit pictures with whole numbers: a filter's coefficients times 2^22, rounded, then each row, then each column
of what that gave, each rounded to eight bits (libImaging/Resample.c; Pillow 4 to 12). Products of such numbers with bytes and their sums are
whole and below 2^53, so that a matrix product in float64 gives them exactly, in whatever order a device adds.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

_BITS = 32 - 8 - 2  # of a coefficient behind the point
Curve = Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]]


def _box(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bilinear(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def _hamming(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    x = np.abs(x)
    window = 0.54 + 0.46 * np.cos(x * math.pi)
    return np.where(x >= 1, 0.0, _sinc(x) * window)


def _bicubic(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), 0.0)


def _sinc(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    turned = np.where(x == 0, 1.0, x * math.pi)
    return np.where(x == 0, 1.0, np.sin(turned) / turned)


# Pillow's number of a filter -> (how far it reaches, its curve)
FILTERS: dict[int, tuple[float, Curve]] = {
    Image.Resampling.BOX: (0.5, _box),
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.HAMMING: (1.0, _hamming),
    Image.Resampling.BICUBIC: (2.0, _bicubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}


def resize(
    pixels: UInt8[torch.Tensor, "3 height width"], size: tuple[int, int], resample: int
) -> UInt8[torch.Tensor, "3 new_height new_width"]:
    """What `Image.resize(size, resample)` gives, computed where the pixels are.

    Args:
        pixels: RGB, on a device that has float64.
        size: (width, height) in pixels, as Pillow has it.
        resample: Pillow's number of a filter, one of `FILTERS`.
    """
    width, height = size
    found = pixels
    if width != found.shape[2]:
        weights = _weights(found.shape[2], width, resample).to(pixels.device)
        found = _rounded(found.double() @ weights.T)
    if height != found.shape[1]:
        weights = _weights(found.shape[1], height, resample).to(pixels.device)
        found = _rounded(weights @ found.double())
    return found


def _rounded(sums: Float[torch.Tensor, "..."]) -> UInt8[torch.Tensor, "..."]:
    return sums.add_(2 ** (_BITS - 1)).mul_(2.0**-_BITS).floor_().clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=32)
def _weights(before: int, after: int, resample: int) -> Float[torch.Tensor, "after before"]:
    """Whole numbers: what each pixel counts for each new one."""
    reach, curve = FILTERS[resample]
    scale = before / after
    stretch = max(scale, 1.0)
    support = reach * stretch
    centers = (np.arange(after) + 0.5) * scale
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centers + support + 0.5).astype(np.int64), before)
    places = first[:, None] + np.arange(int((last - first).max()))
    inside = places < last[:, None]
    values = curve((places - centers[:, None] + 0.5) * (1.0 / stretch))
    values = np.where(inside, values, 0.0)
    sums = np.cumsum(values, axis=1)[:, -1:]  # one after another, as Pillow adds
    values = np.divide(values, sums, out=values, where=sums != 0)
    whole = np.trunc(values * 2**_BITS + np.where(values < 0, -0.5, 0.5))
    found = np.zeros((after, before))
    rows = np.broadcast_to(np.arange(after)[:, None], places.shape)
    found[rows[inside], places[inside]] = whole[inside]
    return torch.from_numpy(found)
