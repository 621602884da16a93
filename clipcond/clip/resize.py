"""Resizing pictures that are bytes in a tensor, wherever they are, exactly as Pillow does.

Pillow's arithmetic (src/libImaging/Resample.c) is whole numbers: the weights of a filter are made in double, rounded to
multiples of 2^-22, and each pass, along the rows first in all but tall strips, rounds half up to a byte. So a pass is a
matrix product of integers: in float64 every partial sum is under 2^53 and exact, whatever the order it is added in.
That holds on any device that has float64. Pillow 13 takes some columns before rows where both sides change by unlike
ratios, which then differs by a level; pictures that keep their shape are the same in both.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from PIL import Image

from clipcond.errors import ClipcondError

_ONE = 2.0**22  # Pillow's PRECISION_BITS
# positions a product: a band of the weights, which are nearly all zero, and a strip's would fill the memory
_BLOCK = 256

_HAMMING = np.array([0.54, 0.46], np.float32).astype(np.float64)  # so written in C

_Weights = Float[np.ndarray, "..."]


def resize(
    pixels: UInt8[torch.Tensor, "n 3 height width"], size: tuple[int, int], resample: int
) -> UInt8[torch.Tensor, "n 3 new_height new_width"]:
    """Equal to the last bit to Pillow's `Image.resize(size, resample)` of RGB pictures.

    Args:
        pixels: on any device that has float64.
        size: (width, height) in pixels, as Pillow has it.
        resample: Pillow's number of the filter.

    Raises:
        ClipcondError: a filter that is not in FILTERS (the magic kernels of Pillow 13).
    """
    width, height = size
    filter_ = Image.Resampling(resample)
    if filter_ not in FILTERS:
        raise ClipcondError(
            f"resample {filter_.name}: no filter of a CLIP's preprocessing; there are {', '.join(f.name for f in FILTERS)}"
        )
    if filter_ is Image.Resampling.NEAREST:
        columns, rows = (
            _nearest(old, new).to(pixels.device)
            for old, new in ((pixels.shape[3], width), (pixels.shape[2], height))
        )
        return pixels.index_select(3, columns).index_select(2, rows)
    old_height, old_width = pixels.shape[2:]
    passes = [(3, width), (2, height)]
    if old_height > old_width * 100 and height < old_height:  # as Image.resize has it
        passes.reverse()
    for axis, new in passes:
        pixels = _resampled(pixels.transpose(axis, 3), new, filter_).transpose(axis, 3)
    return pixels


def _resampled(
    pixels: UInt8[torch.Tensor, "n 3 lines old"], new: int, filter_: Image.Resampling
) -> UInt8[torch.Tensor, "n 3 lines new"]:
    """Pillow's pass along the last axis."""
    old = pixels.shape[-1]
    if old == new:
        return pixels
    blocks = [
        (pixels[..., start : start + len(weights)].double() @ weights / _ONE + 0.5)
        .floor()
        .clamp(0, 255)
        .to(torch.uint8)
        for start, weights in _blocks(old, new, filter_, pixels.device)
    ]
    return torch.cat(blocks, dim=-1)


@lru_cache(maxsize=16)  # pictures of a run are of few sizes; 2 MB each from 1024 to 224
def _blocks(
    old: int, new: int, filter_: Image.Resampling, device: torch.device
) -> list[tuple[int, Float64[torch.Tensor, "_support _block"]]]:
    """(first old position, weights from it on) of each `_BLOCK` new positions, times `_ONE`."""
    first, weights = _quantised(old, new, filter_)
    at = first[:, None] + np.arange(weights.shape[1])
    blocks = []
    for block in range(0, new, _BLOCK):
        own = slice(block, block + _BLOCK)
        start, end = int(at[own].min()), min(int(at[own].max()) + 1, old)
        dense = np.zeros((end - start, len(first[own])))
        place, tap = np.nonzero(weights[own])
        dense[at[own][place, tap] - start, place] = weights[own][place, tap]
        blocks.append((start, torch.from_numpy(dense).to(device)))
    return blocks


def _quantised(
    old: int, new: int, filter_: Image.Resampling
) -> tuple[Int64[np.ndarray, " new"], Float64[np.ndarray, "new taps"]]:
    """(first old position, its and the following ones' whole weights) of each new position.

    Resample.c's precompute_coeffs and normalize_coeffs_8bpc, in their order of operations.
    """
    radius, weigh = _FILTERS[filter_]
    scale = old / new
    stretch = max(scale, 1.0)
    support = radius * stretch
    centers = (np.arange(new) + 0.5) * scale
    # numbers are cut off towards zero, as C does
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    count = np.minimum((centers + support + 0.5).astype(np.int64), old) - first
    taps = np.arange(math.ceil(support) * 2 + 1)
    weights = weigh((taps + first[:, None] - centers[:, None] + 0.5) * (1.0 / stretch))
    weights[taps >= count[:, None]] = 0
    total = weights.cumsum(axis=1)[:, -1:]  # one after the other; np.sum adds in pairs
    weights = np.divide(weights, total, out=weights, where=total != 0)
    return first, np.trunc(weights * _ONE + np.where(weights < 0, -0.5, 0.5))


def _nearest(old: int, new: int) -> Int64[torch.Tensor, " new"]:
    """Where each new position is taken from: Geometry.c's ImagingScaleAffine, which adds up its steps."""
    step = old / new
    steps = np.full(new, step)
    steps[0] = step * 0.5
    return torch.from_numpy(steps.cumsum().astype(np.int64))


def _box(x: _Weights) -> _Weights:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bilinear(x: _Weights) -> _Weights:
    weights: _Weights = np.maximum(1.0 - np.abs(x), 0.0)
    return weights


def _hamming(x: _Weights) -> _Weights:
    turn = np.abs(x) * math.pi
    found = _sinc(x) * (_HAMMING[0] + _HAMMING[1] * _libm(math.cos, turn))
    return np.where(np.abs(x) < 1, found, 0.0)


def _bicubic(x: _Weights) -> _Weights:
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: _Weights) -> _Weights:
    return np.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), 0.0)


def _sinc(x: _Weights) -> _Weights:
    turn = np.where(x == 0, 1.0, x * math.pi)
    found: _Weights = np.where(x == 0, 1.0, _libm(math.sin, turn) / turn)
    return found


def _libm(function: Callable[[float], float], x: _Weights) -> _Weights:
    """C's own, as Pillow has it; numpy's may differ by a last bit."""
    return np.array([function(each) for each in x.flat]).reshape(x.shape)


# (radius in pixels of the smaller of both grids, weight by distance)
_FILTERS: dict[Image.Resampling, tuple[float, Callable[[_Weights], _Weights]]] = {
    Image.Resampling.BOX: (0.5, _box),
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.HAMMING: (1.0, _hamming),
    Image.Resampling.BICUBIC: (2.0, _bicubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}
FILTERS = (Image.Resampling.NEAREST, *_FILTERS)
