"""Pictures composed on the device from a bank of sprites, so that the host renders nothing.

What a picture shows travels as a few integers a sprite (`Layout`); `Composer` turns a batch of them into what
`render_array` draws.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from clipcond.emoji.render import sprite
from clipcond.emoji.scenes import Scene
from clipcond.emoji.world import BACKGROUNDS, PRESETS, UNITS

SLOTS = max(preset.max_objects for preset in PRESETS.values())
ZOOMS = (7 / 8, 15 / 16, 1.0, 17 / 16, 9 / 8)
PLAIN = ZOOMS.index(1.0)
_BACKGROUND_NOISE = 12  # levels
_CHUNK = 256  # pictures composed at once, which bounds the memory


class Layout(NamedTuple):
    """One picture, or a batch of them.

    Attributes:
        tiles: (tile of the bank, top, left) of each sprite in pixels, int32 [..., SLOTS, 3]; tile -1 is none.
        background: RGB, uint8 [..., 3].
    """

    tiles: np.ndarray | torch.Tensor
    background: np.ndarray | torch.Tensor


def plain(scene: Scene, preset: str) -> Layout:
    """The layout of a scene as `render_array` draws it."""
    return _placed(scene, preset, PLAIN, (0, 0))


def varied(scene: Scene, preset: str, rng: np.random.Generator) -> Layout:
    """Half of the time plain, else with the background's colour shifted and a lone thing zoomed by up to an eighth.

    Of several, a zoom would blur which one is large.
    """
    if rng.random() < 0.5:
        return plain(scene, preset)
    color = rng.normal(BACKGROUNDS[str(scene.background)], _BACKGROUND_NOISE).clip(0, 255)
    zoom = int(rng.integers(len(ZOOMS))) if len(scene.items) == 1 else PLAIN
    spare = PRESETS[preset].size - _zoomed(preset, zoom)
    shift = tuple(int(v) for v in np.sign(spare) * rng.integers(0, abs(spare) + 1, 2))
    return _placed(replace(scene, background=tuple(int(v) for v in color)), preset, zoom, shift)


def _zoomed(preset: str, zoom: int) -> int:
    return round(PRESETS[preset].size * ZOOMS[zoom])


def _placed(scene: Scene, preset: str, zoom: int, shift: tuple[int, int]) -> Layout:
    size, sprites = _zoomed(preset, zoom), PRESETS[preset].sprites
    sizes = list(PRESETS[preset].sizes.values())
    tiles = np.full((SLOTS, 3), -1, np.int32)
    for i, item in enumerate(scene.items):
        side = round(item.size * size / UNITS)
        # as in render_array, rounding must not push an edge out of the picture
        top, left = (min(round(v * size / UNITS), size - side) for v in (item.y, item.x))
        row = zoom * len(sizes) + sizes.index(item.size)
        tile = row * len(sprites) + sprites.index(item.sprite)
        tiles[i] = tile, top + shift[0], left + shift[1]
    color = BACKGROUNDS.get(scene.background, scene.background)
    return Layout(tiles, np.array(color, np.uint8))


class Composer(nn.Module):
    """Layouts -> pictures.

    Args:
        preset: whose sprites the bank holds.
        zooms: whether it holds them at every zoom too, for `varied` layouts.
    """

    bank: torch.Tensor

    def __init__(self, preset: str, *, zooms: bool) -> None:
        super().__init__()
        self.size = PRESETS[preset].size
        sizes = PRESETS[preset].sizes.values()
        rows = [(zoom, units) for zoom in range(len(ZOOMS)) for units in sizes]
        self.tile = round(max(sizes) * _zoomed(preset, len(ZOOMS) - 1) / UNITS)
        self.margin = self.size // 8  # a zoomed picture loses so much at most on the left and above
        names = PRESETS[preset].sprites
        bank = torch.zeros(
            len(rows) * len(names) + 1, self.tile, self.tile, 4, dtype=torch.float16
        )  # the last tile is empty
        for i, (zoom, units) in enumerate(rows):
            if not zooms and zoom != PLAIN:
                continue
            side = round(units * _zoomed(preset, zoom) / UNITS)
            for k, name in enumerate(names):
                drawn = np.concatenate(sprite(name, side), axis=-1)
                bank[i * len(names) + k, :side, :side] = torch.from_numpy(drawn)
        self.register_buffer("bank", bank, persistent=False)

    @torch.no_grad()
    def forward(self, layout: Layout) -> torch.Tensor:
        """Pictures, uint8 [batch, 3, size, size], of a batch of layouts on this module's device."""
        parts = zip(layout.tiles.split(_CHUNK), layout.background.split(_CHUNK), strict=True)
        return torch.cat([self._draw(tiles, background) for tiles, background in parts])

    def _draw(self, tiles: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
        side = self.margin + self.size + self.tile
        canvas = background[:, None, None].float().repeat(1, side, side, 1)
        picture = torch.arange(len(tiles), device=tiles.device)[:, None, None]
        within = torch.arange(self.tile, device=tiles.device)
        for index, top, left in tiles.long().permute(1, 2, 0):
            rows = (self.margin + top)[:, None, None] + within[:, None]
            columns = (self.margin + left)[:, None, None] + within
            drawn = self.bank[index].float()
            under = canvas[picture, rows, columns]
            canvas[picture, rows, columns] = drawn[..., :3] + (1 - drawn[..., 3:]) * under
        inner = slice(self.margin, self.margin + self.size)
        drawn = canvas[:, inner, inner].clamp(0, 255).round().to(torch.uint8)
        return drawn.permute(0, 3, 1, 2).contiguous()
