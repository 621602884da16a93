"""The oracle: reads what a picture of this world shows, and refuses what only resembles it.

Matching pursuit with the known sprites. On the background's colour b, sprite k at size s adds T = a (c - b) to the
picture (c colour, a alpha), so for the picture minus background D the squared error of "sprite k stands here" is
|D|^2 - 2 <D, T> + |T|^2 over its box. The sprite that explains most is taken, subtracted, and the search goes on
until nothing visible is left. A sprite counts only if it fits closely (`MAX_MISFIT`), clearly better than any other
sprite in its place (`MIN_MARGIN`); what is left over afterwards must be nearly nothing (`MAX_LEFT`). Errors are
measured on luma and on colour differences that weigh less, as the eye and JPEG have it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from clipcond.emoji.render import sprite
from clipcond.emoji.scenes import Item
from clipcond.emoji.world import BACKGROUNDS, SIZES, SPRITES, UNITS
from clipcond.errors import ClipcondError

MAX_MISFIT = 0.30  # squared error of a sprite, as a share of |T|^2
MIN_MARGIN = 0.006  # by how much any other sprite in its place must fit worse
MAX_BACKGROUND_ERROR = 28.0  # RGB distance, in levels
MAX_LEFT = 6.5  # squared error per pixel that nothing explains, as an RMS level over the picture
MAX_ITEMS = 8
_MIN_GAIN = 5_000.0  # squared error that a sprite must explain: a third of the faintest small one
_CHROMA = 0.3
_LUMA_CHROMA = torch.tensor(  # ITU-R BT.601, colour differences scaled by _CHROMA
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]]
) * torch.tensor([[1.0], [_CHROMA], [_CHROMA]])


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture shows: a background's name (None: not one of this world), sprites, and how much is unexplained."""

    background: str | None
    items: tuple[Item, ...]
    doubtful: tuple[Item, ...]  # something stands here, but it is not plainly this
    left: float  # RMS level of what no sprite explains, 0..255

    @property
    def clean(self) -> bool:
        """Whether nothing visible is left unexplained."""
        return self.left <= MAX_LEFT


@dataclass(frozen=True, slots=True)
class _Templates:
    names: tuple[str, ...]
    size: int
    color: torch.Tensor  # premultiplied [sprites, 3, size, size]
    alpha: torch.Tensor  # [sprites, 1, size, size]


@cache
def _templates(size: int) -> _Templates:
    names = tuple(SPRITES)
    drawn = [sprite(name, size) for name in names]
    color = torch.from_numpy(np.stack([c for c, _ in drawn])).permute(0, 3, 1, 2)
    alpha = torch.from_numpy(np.stack([a for _, a in drawn])).permute(0, 3, 1, 2)
    return _Templates(names, size, color.contiguous(), alpha.contiguous())


def pixels(image: Image.Image | np.ndarray) -> torch.Tensor:
    """A picture as float [3, 32, 32] in 0..255; larger ones are averaged down."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image = image.convert("RGB")
    if image.width != image.height or image.width < UNITS:
        raise ClipcondError(
            f"the oracle reads square pictures of at least {UNITS} x {UNITS} pixels, not {image.width} x {image.height}"
        )
    if image.width != UNITS:
        image = image.resize((UNITS, UNITS), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(image, np.float32).copy()).permute(2, 0, 1)


def background_of(picture: torch.Tensor) -> tuple[str | None, torch.Tensor]:
    """The background: the named colour that most of the picture is near to, and the colour that is really there."""
    flat = picture.flatten(1).T
    table = torch.tensor(list(BACKGROUNDS.values()), dtype=torch.float32)
    near = torch.cdist(flat, table) < 2 * MAX_BACKGROUND_ERROR
    best = int(near.sum(0).argmax())
    if near[:, best].float().mean() < 0.15:
        return None, flat.median(0).values
    color = flat[near[:, best]].median(0).values
    close = torch.linalg.vector_norm(color - table[best]) < MAX_BACKGROUND_ERROR
    return (list(BACKGROUNDS)[best] if close else None), color


def read(image: Image.Image | np.ndarray) -> Reading:
    """Read one picture of the emoji world."""
    picture = pixels(image)
    name, color = background_of(picture)
    rest = torch.einsum("ij,jyx->iyx", _LUMA_CHROMA, picture - color[:, None, None])
    sure, doubtful = [], []
    templates = [_signed(size, color) for size in SIZES.values()]
    for _ in range(MAX_ITEMS):
        found = _best(rest, templates)
        if found is None:
            break
        item, misfit, margin, drawn = found
        (sure if misfit <= MAX_MISFIT and margin >= MIN_MARGIN else doubtful).append(item)
        rest[:, item.y : item.y + item.size, item.x : item.x + item.size] -= drawn
    return Reading(name, tuple(sure), tuple(doubtful), rest.square().mean().sqrt().item())


@dataclass(frozen=True, slots=True)
class _Signed:
    names: tuple[str, ...]
    size: int
    drawn: torch.Tensor  # [sprites, 3, size, size]: what the sprite adds to the background
    energy: torch.Tensor  # [sprites]


def _signed(size: int, background: torch.Tensor) -> _Signed:
    t = _templates(size)
    drawn = torch.einsum(
        "ij,kjyx->kiyx", _LUMA_CHROMA, t.color - t.alpha * background[None, :, None, None]
    )
    return _Signed(t.names, size, drawn, drawn.square().sum((1, 2, 3)))


def _best(
    rest: torch.Tensor, templates: list[_Signed]
) -> tuple[Item, float, float, torch.Tensor] | None:
    """The sprite that explains most of what is left: where, its misfit, its margin over the next sprite there."""
    gains = []
    for t in templates:
        overlap = F.conv2d(rest[None], t.drawn)[0]
        gains.append(2 * overlap - t.energy[:, None, None])
    which = int(np.argmax([gain.max() for gain in gains]))
    t, gain = templates[which], gains[which]
    k, y, x = (int(i) for i in np.unravel_index(int(gain.argmax()), gain.shape))
    if gain[k, y, x] < _MIN_GAIN:
        return None
    energy = float(t.energy[k])
    box = rest[:, y : y + t.size, x : x + t.size]
    misfit = float((box - t.drawn[k]).square().sum()) / energy
    rival = max(
        _rival(g, s, t.names[k], (x, y, t.size)) for g, s in zip(gains, templates, strict=True)
    )
    margin = (float(gain[k, y, x]) - rival) / energy
    return Item(t.names[k], x, y, t.size), misfit, margin, t.drawn[k]


def _rival(gain: torch.Tensor, t: _Signed, name: str, box: tuple[int, int, int]) -> float:
    """The most that another sprite explains with its centre within two units of a box's centre."""
    x, y, size = box
    shift = (size - t.size) // 2
    top, left = max(0, y + shift - 2), max(0, x + shift - 2)
    near = gain[:, top : y + shift + 3, left : x + shift + 3]
    if near.numel() == 0:
        return float("-inf")
    best = near.amax((1, 2)).clone()
    best[t.names.index(name)] = float("-inf")
    return float(best.max())
