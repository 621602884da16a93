"""Finding sprites in a picture: matching pursuit with the atlas.

On the background's colour b, sprite k at size s adds T = a (c - b) to the picture (c colour, a alpha). So with D the
picture minus its background, "sprite k stands here" explains 2 <D, T> - |T|^2 of the box's |D|^2 and leaves the rest as
its squared error: one convolution of D with every T says so for every sprite and place. Errors are measured on luma
and on colour differences that weigh less, as the eye and JPEG have it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional as F

from clipcond.emoji.render import sprite
from clipcond.emoji.scenes import Item
from clipcond.emoji.world import SIZES, SPRITES

MAX_MISFIT = 0.50  # squared error of a sprite, as a share of |T|^2
_MIN_GAIN = 5_000.0  # squared error that a match must explain: a third of the faintest small sprite
_LITTLE = 0.15  # of a sprite's energy
_NEAR = 2  # units between two centres within which sprites compete for one place
_CHROMA = 0.3
_LUMA_CHROMA = torch.tensor(  # ITU-R BT.601, colour differences scaled by _CHROMA
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]]
) * torch.tensor([[1.0], [_CHROMA], [_CHROMA]])
_NAMES = tuple(SPRITES)


@dataclass(frozen=True, slots=True)
class Match:
    """A sprite and how well it fits where it was found.

    Attributes:
        item: the sprite and its box.
        misfit: squared error in its box, as a share of the sprite's own energy.
        worst_half: the same for the half of the box (left, right, upper, lower) that fits worst: 1 where it is missing.
        margin: how much less of it the next best sprite in this place explains, as such a share.
        sharpness: its fine detail in the picture, as a share of the sprite's own: 1 as drawn, 0.2 blurred by 2 px.
    """

    item: Item
    misfit: float
    worst_half: float
    margin: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class _Templates:
    """Every sprite at one size on one background: what it adds [sprites, 3, size, size] and |T|^2 [sprites]."""

    size: int
    drawn: torch.Tensor
    energy: torch.Tensor


def matches(
    picture: Float[torch.Tensor, "3 height width"],
    background: Float[torch.Tensor, " 3"],
    limit: int = 8,
) -> Iterator[Match]:
    """Take the best match, subtract it, and go on until nothing visible is left.

    Args:
        picture: RGB, 0..255.
        background: its background's colour.
        limit: how many matches to look for.
    """
    rest = difference(picture, background)
    templates = [_on(background, size) for size in SIZES.values()]
    for _ in range(limit):
        found = _best(rest, templates)
        if found is None:
            return
        yield found
        subtract(rest, found.item, background)


def difference(
    picture: Float[torch.Tensor, "3 height width"], background: Float[torch.Tensor, " 3"]
) -> Float[torch.Tensor, "3 height width"]:
    """The picture minus its background, as luma and weakened colour differences."""
    return torch.einsum("ij,jyx->iyx", _LUMA_CHROMA, picture - background[:, None, None])


def subtract(
    rest: Float[torch.Tensor, "3 height width"], item: Item, background: Float[torch.Tensor, " 3"]
) -> None:
    """Take an item's sprite out of a difference, in place."""
    drawn = _on(background, item.size).drawn[_NAMES.index(item.sprite)]
    _box(rest, item).sub_(drawn)


def _box(rest: torch.Tensor, item: Item) -> torch.Tensor:
    return rest[:, item.y : item.y + item.size, item.x : item.x + item.size]


@cache
def _plain(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Premultiplied colour [sprites, 3, size, size] and alpha [sprites, 1, size, size]."""
    color, alpha = zip(*(sprite(name, size) for name in _NAMES), strict=True)
    return tuple(
        torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).contiguous() for part in (color, alpha)
    )


def _on(background: torch.Tensor, size: int) -> _Templates:
    color, alpha = _plain(size)
    drawn = torch.einsum("ij,kjyx->kiyx", _LUMA_CHROMA, color - alpha * background[:, None, None])
    return _Templates(size, drawn, drawn.square().sum((1, 2, 3)))


def _best(rest: torch.Tensor, templates: list[_Templates]) -> Match | None:
    """What explains most among the sprites that fit; where none fits, what explains most."""
    gains, fits = [], []
    for t in templates:
        gain = 2 * F.conv2d(rest[None], t.drawn)[0] - t.energy[:, None, None]
        here = (
            F.avg_pool2d(rest.square().sum(0)[None], t.size, stride=1) * t.size**2
        )  # |D|^2 of each box
        gains.append(gain)
        fits.append(gain.where(here - gain <= MAX_MISFIT * t.energy[:, None, None], -torch.inf))
    chosen = fits if max(float(fit.max()) for fit in fits) > _MIN_GAIN else gains
    which = int(np.argmax([float(gain.max()) for gain in chosen]))
    t, gain = templates[which], chosen[which]
    k, y, x = (int(i) for i in np.unravel_index(int(gain.argmax()), gain.shape))
    if gain[k, y, x] < _MIN_GAIN:
        return None
    item = Item(_NAMES[k], x, y, t.size)
    drawn, energy, box = t.drawn[k], float(t.energy[k]), _box(rest, item)
    rival = max(_rival(g, s.size, item) for g, s in zip(gains, templates, strict=True))
    return Match(
        item=item,
        misfit=float((box - drawn).square().sum()) / energy,
        worst_half=_worst_half(box - drawn, drawn),
        margin=(float(gain[k, y, x]) - rival) / energy,
        sharpness=_sharpness(box, drawn),
    )


def _rival(gain: torch.Tensor, size: int, item: Item) -> float:
    """The most that another sprite of this size explains in about the same place."""
    shift = (item.size - size) // 2
    top, left = max(0, item.y + shift - _NEAR), max(0, item.x + shift - _NEAR)
    near = gain[:, top : item.y + shift + _NEAR + 1, left : item.x + shift + _NEAR + 1]
    if near.numel() == 0:
        return float("-inf")
    best = near.amax((1, 2))
    best[_NAMES.index(item.sprite)] = -torch.inf
    return float(best.max())


def _worst_half(error: torch.Tensor, drawn: torch.Tensor) -> float:
    """Squared error over energy of the worst half; one that holds little of the sprite counts as if it held a bit."""
    wrong, own = error.square().sum(0), drawn.square().sum(0)
    middle = len(own) // 2
    halves = [np.s_[:middle], np.s_[middle:], np.s_[:, :middle], np.s_[:, middle:]]
    least = _LITTLE * float(own.sum())
    return max(float(wrong[half].sum()) / max(float(own[half].sum()), least) for half in halves)


def _sharpness(box: torch.Tensor, drawn: torch.Tensor) -> float:
    """The part of the sprite's fine detail (what a 3 x 3 mean takes away) that the picture has."""
    ours, theirs = (x - F.avg_pool2d(x, 3, stride=1, padding=1) for x in (box, drawn))
    return float((ours * theirs).sum() / theirs.square().sum())
