"""Finding sprites in a picture: matching pursuit with the atlas.

On the background's colour b, sprite k at size s adds T = a (c - b) to the picture (c colour, a alpha). So with D the
picture minus its background, "sprite k stands here" explains 2 <D, T> - |T|^2 of the box's |D|^2 and leaves the rest as
its squared error: one correlation of D with every T, by FFT, says so for every sprite and place. Errors are measured on
luma and on colour differences that weigh less, as the eye and JPEG have it.
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
from clipcond.emoji.world import BACKGROUNDS, PRESETS, UNITS

MAX_MISFIT = 0.50  # squared error of a sprite, as a share of |T|^2
_MIN_GAIN = 5_000.0  # squared error that a match must explain, at 32 px: less than the faintest small sprite has
_LITTLE = 0.15  # of a sprite's energy
_NEAR = 2  # units between two centres within which sprites compete for one place
_CHROMA = 0.3
_LUMA_CHROMA = torch.tensor(  # ITU-R BT.601, colour differences scaled by _CHROMA
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]]
) * torch.tensor([[1.0], [_CHROMA], [_CHROMA]])


@dataclass(frozen=True, slots=True)
class Match:
    """A sprite and how well it fits where it was found.

    Attributes:
        item: the sprite and its box, rounded to units.
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
    """What a preset looks for at one size: colour (premultiplied, luma and colour differences), alpha, and their spectra."""

    pixels: int
    color: Float[torch.Tensor, "sprites 3 pixels pixels"]
    alpha: Float[torch.Tensor, "sprites 1 pixels pixels"]
    color_spectrum: torch.Tensor
    alpha_spectrum: torch.Tensor

    def on(self, background: torch.Tensor) -> torch.Tensor:
        """What each sprite adds to a background: T [sprites, 3, pixels, pixels]."""
        return self.color - self.alpha * background[:, None, None]

    def gain(
        self, spectrum: torch.Tensor, background: torch.Tensor, energy: torch.Tensor
    ) -> torch.Tensor:
        """2 <D, T> - |T|^2 at every place [sprites, places, places], from the spectrum of D."""
        shared = (spectrum * self.color_spectrum).sum(1)
        shared -= (background[:, None, None] * spectrum).sum(0) * self.alpha_spectrum
        side = spectrum.shape[-2]
        places = side - self.pixels + 1
        inner: torch.Tensor = torch.fft.irfft2(shared, s=(side, side))[:, :places, :places]
        return 2 * inner - energy[:, None, None]


@cache
def _templates(preset: str, units: int) -> _Templates:
    side = PRESETS[preset].read_at
    drawn = [sprite(name, units * side // UNITS) for name in PRESETS[preset].looked_for]
    color, alpha = (
        torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).contiguous()
        for part in zip(*drawn, strict=True)
    )
    color = torch.einsum("ij,kjyx->kiyx", _LUMA_CHROMA, color)
    spectra = (
        torch.fft.rfft2(part, s=(side, side)).conj().resolve_conj() for part in (color, alpha[:, 0])
    )
    return _Templates(color.shape[-1], color, alpha, *spectra)


def on_background(
    preset: str, size: str, background: str
) -> Float[torch.Tensor, "sprites 3 pixels pixels"]:
    """What each sprite that a preset looks for adds to a background, as the oracle reads it: luma and colour differences."""
    color = _LUMA_CHROMA @ torch.tensor(BACKGROUNDS[background], dtype=torch.float32)
    return _templates(preset, PRESETS[preset].sizes[size]).on(color)


class Matcher:
    """Matching pursuit in one picture: what is left of it, and what was found.

    Args:
        picture: RGB, 0..255, of the preset's `read_at` pixels a side.
        background: its background's colour.
        preset: whose sprites to look for.
    """

    def __init__(
        self,
        picture: Float[torch.Tensor, "3 side side"],
        background: Float[torch.Tensor, " 3"],
        preset: str,
    ) -> None:
        self.names = PRESETS[preset].looked_for
        self.scale = picture.shape[-1] / UNITS
        self.rest = torch.einsum("ij,jyx->iyx", _LUMA_CHROMA, picture - background[:, None, None])
        self.background = _LUMA_CHROMA @ background
        self.templates = [_templates(preset, units) for units in PRESETS[preset].sizes.values()]
        self.energies = [t.on(self.background).square().sum((1, 2, 3)) for t in self.templates]

    def matches(self, limit: int = 8) -> Iterator[Match]:
        """Take the best match, subtract it from the rest, and go on until nothing visible is left."""
        for _ in range(limit):
            found = self._best()
            if found is None:
                return
            yield found

    def _best(self) -> Match | None:
        """Among the sprites that fit, what explains most beyond what it leaves; where none fits, what explains most."""
        least = _MIN_GAIN * self.scale**2
        spectrum, square = torch.fft.rfft2(self.rest), self.rest.square().sum(0)[None]
        gains, fits = [], []
        for t, energy in zip(self.templates, self.energies, strict=True):
            gain = t.gain(spectrum, self.background, energy)
            error = F.avg_pool2d(square, t.pixels, stride=1) * t.pixels**2 - gain  # left in the box
            fit = (error <= MAX_MISFIT * energy[:, None, None]) & (gain > least)
            gains.append(gain)
            fits.append((gain - error).where(fit, -torch.inf))
        chosen = fits if max(float(fit.max()) for fit in fits) > -torch.inf else gains
        which = int(np.argmax([float(part.max()) for part in chosen]))
        t, gain, pixels = self.templates[which], gains[which], self.templates[which].pixels
        k, top, left = (int(i) for i in np.unravel_index(int(chosen[which].argmax()), gain.shape))
        if gain[k, top, left] < least:
            return None
        own = float(self.energies[which][k])
        drawn = t.color[k] - t.alpha[k] * self.background[:, None, None]
        box = self.rest[:, top : top + pixels, left : left + pixels]
        rival = max(self._rival(other, k, (top, left, pixels)) for other in gains)
        sharpness = _sharpness(box, drawn)
        box -= drawn
        units = (round(v / self.scale) for v in (left, top, pixels))
        return Match(
            item=Item(self.names[k], *units),
            misfit=float(box.square().sum()) / own,
            worst_half=_worst_half(box, drawn),
            margin=(float(gain[k, top, left]) - rival) / own,
            sharpness=sharpness,
        )

    def _rival(self, gain: torch.Tensor, k: int, place: tuple[int, int, int]) -> float:
        """The most that another sprite, of the size of these gains, explains in about the same place."""
        pixels, near = self.rest.shape[-1] - gain.shape[-1] + 1, round(_NEAR * self.scale)
        shift = (place[2] - pixels) // 2
        top, left = (v + shift for v in place[:2])
        around = gain[:, max(0, top - near) : top + near + 1, max(0, left - near) : left + near + 1]
        if around.numel() == 0:
            return float("-inf")
        best = around.amax((1, 2))
        best[k] = -torch.inf
        return float(best.max())


def _worst_half(error: torch.Tensor, drawn: torch.Tensor) -> float:
    """Squared error over energy of the worst half; one that holds little of the sprite counts as if it held a bit."""
    wrong, own = error.square().sum(0), drawn.square().sum(0)
    middle = len(own) // 2
    first, second = slice(middle), slice(middle, None)
    halves = [(first,), (second,), (slice(None), first), (slice(None), second)]
    least = _LITTLE * float(own.sum())
    return max(float(wrong[half].sum()) / max(float(own[half].sum()), least) for half in halves)


def _sharpness(box: torch.Tensor, drawn: torch.Tensor) -> float:
    """The part of the sprite's fine detail (what a 3 x 3 mean takes away) that the picture has."""
    ours, theirs = (x - F.avg_pool2d(x, 3, stride=1, padding=1) for x in (box, drawn))
    return float((ours * theirs).sum() / theirs.square().sum())
