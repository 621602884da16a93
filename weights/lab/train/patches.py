"""Linear patch codes that AutoencoderTiny's own layers compute, and their inverse, as weights.

Folding is easy: strided convolutions, each moving 2 x 2 cells to channels, and a projection. Unfolding is not: the
decoder doubles a map by repeating its cells, and a convolution does the same everywhere, so it cannot tell a cell's left
half from its right half. But zero padding gives the border away, so the first layers count from it: with b = 0 outside,
b <- relu(1 - b shifted by one) settles to 1, 0, 1, 0, ... one column a layer. After a doubling, b differs from its left
neighbour in even columns only, which makes a mask that lets through what is right for each of the four phases.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

CODE_RANGE = 0.05  # codes are within this of zero, where the decoder's soft clamp, 3 tanh(x / 3), is the identity
_GATE = 4.0  # what closes a gate: more than any value of a map, about 0..1, with noise on it
_ROOM = 1.25  # a map's values are scaled to 0..1 with so much room around
_MIDDLE = 1  # taps of a 3 x 3 kernel: the cell itself ...
_BEFORE = 0  # ... and the one to its left, or above it


@dataclass(frozen=True, slots=True)
class Code:
    """A linear code of square patches, and how the decoder takes it apart.

    Attributes:
        projection: [channels, pixels of a patch x 3], picture in -1..1 -> code.
        levels: one [parts, 4 x parts of the next] matrix a doubling: what a cell holds -> what its four phases hold,
            the last of them colours in -1..1. The first takes the code.
        bounds: how large the code can be, and what a phase holds after each level.
    """

    projection: torch.Tensor
    levels: tuple[torch.Tensor, ...]
    bounds: tuple[torch.Tensor, ...]

    @property
    def edge(self) -> tuple[int, int]:
        """Channels of the decoder for parities, and for the edges made of them, (column, row): behind the code's own."""
        return len(self.projection), len(self.projection) + 1

    @property
    def second(self) -> int:
        """Where a map's values begin after every other doubling; after the others they begin at 0."""
        return len(self.projection) + 2

    @property
    def width(self) -> int:
        """Channels that the decoder needs: all phases of a level, or two maps, side by side, and 16 for counting and masks."""
        return 16 + max(
            *(max(level.shape) for level in self.levels), self.second + len(self.bounds[1]) - 16 + 2
        )


def encode(pictures: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    """Pictures [batch, 3, height, width] in -1..1 -> codes [batch, channels, height / patch, width / patch]."""
    while pictures.shape[1] < projection.shape[1]:
        pictures = _unshuffle(pictures)
    return torch.einsum("kp,bpyx->bkyx", projection, pictures)


def identity_code() -> Code:
    """Every pixel of a 4 x 4 patch as it is."""
    return Code(
        projection=torch.eye(48) * CODE_RANGE,
        levels=(torch.eye(48) / CODE_RANGE, torch.eye(12)),
        bounds=(torch.full((48,), CODE_RANGE), torch.ones(12), torch.ones(3)),
    )


def principal_code(pictures: torch.Tensor, *, channels: int, parts: int) -> Code:
    """The principal components of the 8 x 8 patches of pictures [batch, 3, height, width] in -1..1.

    Each component is scaled by the root of its deviation, half way to unit variance: details weigh more in a denoiser's
    loss than in pixels, and noise does not drown in them.

    Args:
        pictures: what to find the components of.
        channels: components of a patch.
        parts: components of its 4 x 4 quarters, as which the decoder first takes it apart.
    """
    quarters = _unshuffle(_unshuffle(pictures))
    patches = _unshuffle(quarters)
    basis, deviation = _components(patches, channels)
    part_basis, _ = _components(quarters, parts)
    scale = deviation**-0.5
    most = basis.abs().sum(1)  # of a component, for pictures in -1..1
    scale *= CODE_RANGE / float((scale * most).max())
    quarter_of = (basis / scale[:, None]).unflatten(1, (4, -1))  # code -> pixels of each quarter
    first = torch.einsum("kqp,jp->kqj", quarter_of, part_basis).flatten(1)
    return Code(
        projection=basis * scale[:, None],
        levels=(first, part_basis, torch.eye(12)),
        bounds=(scale * most, _ROOM * part_basis.abs().sum(1), torch.ones(12), torch.ones(3)),
    )


def _components(maps: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal rows [count, channels] that keep most of a map's squares, and the root mean square along each."""
    flat = maps.transpose(0, 1).flatten(1).double()
    values, vectors = torch.linalg.eigh(flat @ flat.T / flat.shape[1])
    basis = vectors.flip(1)[:, :count].T
    signs = basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()  # eigh leaves it open
    return (basis * signs).float(), values.flip(0)[:count].sqrt().float()


def _unshuffle(x: torch.Tensor) -> torch.Tensor:
    """2 x 2 cells to channels, the phase first: channel = phase x colours + colour."""
    channels = x.shape[1]
    return F.pixel_unshuffle(x, 2).unflatten(1, (channels, 4)).transpose(1, 2).flatten(1, 2)


@torch.no_grad()
def fold(encoder: nn.Module, code: Code) -> None:
    """Set the encoder's convolutions to `encode`."""
    first, *halvings, last = (layer for layer in encoder.layers if isinstance(layer, nn.Conv2d))
    for layer in (first, *halvings, last):
        _clear(layer)
    for channel in range(3):
        first.weight[channel, channel, _MIDDLE, _MIDDLE] = (
            2.0  # the encoder maps its input to 0..1: back to -1..1
        )
        first.bias[channel] = -1.0
    for depth, layer in enumerate(halvings):
        channels = 3 * 4**depth
        for phase in range(4):
            row, column = divmod(phase, 2)
            for channel in range(channels):
                layer.weight[phase * channels + channel, channel, 1 + row, 1 + column] = 1.0
    last.weight[:, : code.projection.shape[1], _MIDDLE, _MIDDLE] = code.projection


@torch.no_grad()
def unfold(decoder: nn.Module, code: Code, *, columns: int) -> None:
    """Set the decoder's weights to the inverse of the code, for codes of up to `columns` cells a side."""
    convolutions = [layer for layer in decoder.layers if isinstance(layer, nn.Conv2d)]
    blocks = [layer for layer in decoder.layers if hasattr(layer, "fuse")]
    counting, finishing = blocks[: -len(code.levels)], blocks[-len(code.levels) :]
    if 1 + 3 * len(counting) < columns:
        raise ValueError(
            f"{len(counting)} blocks count {1 + 3 * len(counting)} columns, not {columns}"
        )
    first, *after_doubling, last = convolutions
    for layer in convolutions:
        _clear(layer)
    values = range(len(code.projection))
    bound, *next_bounds = code.bounds
    for channel in values:  # a map holds v / bound / 2 + 1/2, in 0..1, so that no relu cuts it
        first.weight[channel, channel, _MIDDLE, _MIDDLE] = 0.5 / bound[channel]
        first.bias[channel] = 0.5
    for parity in code.edge:
        first.bias[parity] = 1.0
    for block in counting:
        _count(block, code.edge)
    sources = code.edge
    levels = zip(code.levels, next_bounds, after_doubling, finishing, strict=True)
    for depth, (level, next_bound, layer, block) in enumerate(levels):
        start = code.second if depth % 2 == 0 else 0
        out = range(start, start + len(next_bound))
        _find_edges(layer, code.edge, sources=sources, kept=values)
        share = level * bound[:, None] / next_bound.repeat(4)
        _let_through(block, share, code.edge, values=values, out=out)
        values, sources, bound = out, _masks(block), next_bound
    for channel, value in enumerate(values):
        last.weight[channel, value, _MIDDLE, _MIDDLE] = 1.0


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


def _masks(block: nn.Module) -> tuple[int, int]:
    """The last two channels carry the masks, (column, row)."""
    width = block.conv[0].in_channels
    return width - 2, width - 1


def _count(block: nn.Module, edges: tuple[int, int]) -> None:
    """Three steps of b <- relu(1 - b before); all else passes through the block's shortcut."""
    layers = [layer for layer in block.conv if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        _clear(layer)
    # kept carries b past the steps: the shortcut adds it again, so it is taken away at the end
    for axis, (parity, kept) in enumerate(zip(edges, _masks(block), strict=True)):
        for layer in layers:
            _less_before(layer, parity, parity, axis=axis)
            layer.bias[parity] = 1.0
        _copy(layers[0], kept, parity)
        _copy(layers[1], kept, kept)
        _copy(layers[2], parity, kept, -1.0)


def _find_edges(
    layer: nn.Conv2d, edges: tuple[int, int], *, sources: tuple[int, int], kept: range
) -> None:
    """After a doubling: keep the values, and take each parity's difference to the neighbour before."""
    for channel in kept:
        _copy(layer, channel, channel)
    for axis, (edge, source) in enumerate(zip(edges, sources, strict=True)):
        _copy(layer, edge, source)
        _less_before(layer, edge, source, axis=axis)


def _let_through(
    block: nn.Module, share: torch.Tensor, edges: tuple[int, int], *, values: range, out: range
) -> None:
    """Masks from edges, then each phase's share of the values where its mask is open, added up.

    A map holds half of its value plus 1/2; what that adds comes from a channel that is 1, as a bias together with the
    gates' would be rounded too coarsely in half precision.
    """
    absolute, gate, total = (layer for layer in block.conv if isinstance(layer, nn.Conv2d))
    for layer in (absolute, gate, total):
        _clear(layer)
    phases = share.shape[1]
    used = {*values, *range(phases)}
    *even, one = [channel for channel in range(gate.out_channels) if channel not in used][:5]
    signs = [(edge, sign) for edge in edges for sign in (1.0, -1.0)]
    for channel, (edge, sign) in zip(
        even, signs, strict=True
    ):  # relu(e) and relu(-e): together 1 in even cells, else 0
        _copy(absolute, channel, edge, sign)
    for channel in values:
        _copy(absolute, channel, channel)
    absolute.bias[one] = 1.0
    share = share.half().float()
    for i in range(phases):
        gate.weight[i, list(values), _MIDDLE, _MIDDLE] = share[:, i]
        _copy(gate, i, one, 0.5 - float(share[:, i].sum()) / 2)
        row, column = divmod(i // len(out), 2)
        for axis, odd in enumerate((column, row)):
            for source in even[2 * axis : 2 * axis + 2]:
                _copy(gate, i, source, -_GATE if odd else _GATE)
            gate.bias[i] -= 0.0 if odd else _GATE
        _copy(total, out[i % len(out)], i)
    for axis, mask in enumerate(_masks(block)):
        spare = even[2 + axis]
        for source in even[2 * axis : 2 * axis + 2]:
            _copy(gate, spare, source)
        _copy(total, mask, spare)
