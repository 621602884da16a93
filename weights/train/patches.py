"""A patch folding that AutoencoderTiny's own layers compute exactly, and its inverse, as weights.

Folding is easy: two strided convolutions, each moving 2 x 2 pixels to channels. Unfolding is not: the decoder doubles a
map by repeating its cells, and a convolution does the same everywhere, so it cannot tell a cell's left half from its
right half. But zero padding gives the border away, so the first layers count from it: with b = 0 outside,
b <- relu(1 - b shifted by one) settles to 1, 0, 1, 0, ... one column a layer. After the doubling, b differs from its
left neighbour in even columns only, which makes a mask that lets through the right phase of each pixel.
"""

import torch
from torch import nn
from torch.nn import functional as F

LATENT_CHANNELS = 48
CODE_RANGE = 0.05  # codes are within this of zero, where the decoder's soft clamp, 3 tanh(x / 3), is the identity
_GATE = 4.0  # what closes a gate: more than any pixel value, 0..1, with noise on it
_MIDDLE = 1  # taps of a 3 x 3 kernel: the cell itself ...
_BEFORE = 0  # ... and the one to its left, or above it

# Channels of the decoder. Pixels of a map are 4 phases x colours; parities and masks are (column, row).
_PIXELS = range(48)
_PARITY = (48, 49)
_EDGE = (48, 49)
_HALF = range(50, 62)
_MASK = (62, 63)
WIDTH = 64


def codes(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures [batch, 3, height, width] in -1..1 -> codes [batch, 48, height / 4, width / 4]."""
    return _unshuffle(_unshuffle(pictures)) * CODE_RANGE


def _unshuffle(x: torch.Tensor) -> torch.Tensor:
    """2 x 2 cells to channels, the phase first: channel = phase x colours + colour."""
    channels = x.shape[1]
    return F.pixel_unshuffle(x, 2).unflatten(1, (channels, 4)).transpose(1, 2).flatten(1, 2)


@torch.no_grad()
def fold(encoder: nn.Module) -> None:
    """Set the encoder's convolutions to `codes`."""
    first, half, quarter, last = (layer for layer in encoder.layers if isinstance(layer, nn.Conv2d))
    for layer in (first, half, quarter, last):
        _clear(layer)
    for channel in range(3):
        first.weight[channel, channel, _MIDDLE, _MIDDLE] = (
            2.0  # the encoder maps its input to 0..1: back to -1..1
        )
        first.bias[channel] = -1.0
    for layer, channels in ((half, 3), (quarter, 12)):
        for phase in range(4):
            row, column = divmod(phase, 2)
            for channel in range(channels):
                layer.weight[phase * channels + channel, channel, 1 + row, 1 + column] = 1.0
    for channel in range(LATENT_CHANNELS):
        last.weight[channel, channel, _MIDDLE, _MIDDLE] = CODE_RANGE


@torch.no_grad()
def unfold(decoder: nn.Module, *, columns: int) -> None:
    """Set the decoder's weights to the inverse of `codes`, for codes of up to `columns` cells a side."""
    convolutions = [layer for layer in decoder.layers if isinstance(layer, nn.Conv2d)]
    blocks = [layer for layer in decoder.layers if hasattr(layer, "fuse")]
    counting, halving, finishing = blocks[:-2], blocks[-2], blocks[-1]
    if 1 + 3 * len(counting) < columns:
        raise ValueError(
            f"{len(counting)} blocks count {1 + 3 * len(counting)} columns, not {columns}"
        )
    first, to_half, to_full, last = convolutions
    for layer in convolutions:
        _clear(layer)
    for channel in _PIXELS:  # codes to pixels in 0..1, so that no relu cuts them
        first.weight[channel, channel, _MIDDLE, _MIDDLE] = 0.5 / CODE_RANGE
        first.bias[channel] = 0.5
    for parity in _PARITY:
        first.bias[parity] = 1.0
    for block in counting:
        _count(block)
    _find_edges(to_half, sources=_PARITY, kept=_PIXELS)
    _let_through(halving, pixels=_PIXELS, out=_HALF)
    _find_edges(to_full, sources=_MASK, kept=_HALF)
    _let_through(finishing, pixels=_HALF, out=range(3))
    for channel in range(3):
        last.weight[channel, channel, _MIDDLE, _MIDDLE] = 1.0


def _clear(layer: nn.Conv2d) -> None:
    layer.weight.zero_()
    if layer.bias is not None:
        layer.bias.zero_()


def _less_before(layer: nn.Conv2d, out: int, source: int, *, axis: int) -> None:
    """Subtract the neighbour before, along the columns (axis 0) or the rows (axis 1)."""
    at = (_MIDDLE, _BEFORE) if axis == 0 else (_BEFORE, _MIDDLE)
    layer.weight[out, source, at[0], at[1]] -= 1.0


def _copy(layer: nn.Conv2d, out: int, source: int, weight: float = 1.0) -> None:
    layer.weight[out, source, _MIDDLE, _MIDDLE] += weight


def _count(block: nn.Module) -> None:
    """Three steps of b <- relu(1 - b before); all else passes through the block's shortcut."""
    layers = [layer for layer in block.conv if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        _clear(layer)
    for axis, parity in enumerate(_PARITY):
        kept = _MASK[
            axis
        ]  # carries b past the steps: the shortcut adds it again, so it is taken away at the end
        for layer in layers:
            _less_before(layer, parity, parity, axis=axis)
            layer.bias[parity] = 1.0
        _copy(layers[0], kept, parity)
        _copy(layers[1], kept, kept)
        _copy(layers[2], parity, kept, -1.0)


def _find_edges(layer: nn.Conv2d, *, sources: tuple[int, int], kept: range) -> None:
    """After a doubling: keep the pixels, and take each parity's difference to the neighbour before."""
    for channel in kept:
        _copy(layer, channel, channel)
    for axis, (edge, source) in enumerate(zip(_EDGE, sources, strict=True)):
        _copy(layer, edge, source)
        _less_before(layer, edge, source, axis=axis)


def _let_through(block: nn.Module, *, pixels: range, out: range) -> None:
    """Masks from edges, then each phase of the pixels where its mask is open, added up."""
    absolute, gate, total = (layer for layer in block.conv if isinstance(layer, nn.Conv2d))
    colors = len(pixels) // 4
    for layer in (absolute, gate, total):
        _clear(layer)
    signs = [(edge, sign) for edge in _EDGE for sign in (1.0, -1.0)]
    free = [channel for channel in range(WIDTH) if channel not in pixels][:4]
    for channel, (edge, sign) in zip(
        free, signs, strict=True
    ):  # relu(e) and relu(-e): together 1 in even cells, else 0
        _copy(absolute, channel, edge, sign)
    for i, channel in enumerate(pixels):
        _copy(absolute, channel, channel)
        row, column = divmod(i // colors, 2)
        _copy(gate, channel, channel)
        for axis, odd in enumerate((column, row)):
            for source in free[2 * axis : 2 * axis + 2]:
                _copy(gate, channel, source, -_GATE if odd else _GATE)
            gate.bias[channel] -= 0.0 if odd else _GATE
        _copy(total, out[i % colors], channel)
    for axis, mask in enumerate(_MASK):
        spare = free[2 + axis]
        for source in free[2 * axis : 2 * axis + 2]:
            _copy(gate, spare, source)
        _copy(total, mask, spare)
