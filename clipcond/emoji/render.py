"""Scene -> picture, from the committed sprite atlas. No font is needed."""

from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image

from clipcond.emoji.scenes import Scene
from clipcond.emoji.world import BACKGROUNDS, PRESETS, SHIPPED, SPRITES, UNITS

CELL = 64
ATLAS_COLUMNS = 8


@cache
def _atlas() -> Image.Image:
    with files("clipcond.emoji").joinpath("atlas.png").open("rb") as file:
        return Image.open(file).convert("RGBA")


@cache
def sprite(name: str, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """One sprite at a size: premultiplied colour [pixels, pixels, 3] in 0..255 and alpha [pixels, pixels, 1]."""
    index = list(SPRITES).index(name)
    left, top = index % ATLAS_COLUMNS * CELL, index // ATLAS_COLUMNS * CELL
    cell = _atlas().crop((left, top, left + CELL, top + CELL))
    rgba = np.asarray(cell.resize((pixels, pixels), Image.Resampling.LANCZOS), np.float32)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha, alpha


def render_array(scene: Scene, size: int = PRESETS[SHIPPED].size) -> np.ndarray:
    """`render` as a uint8 array [size, size, 3]."""
    scale = size / UNITS
    background = scene.background
    color = BACKGROUNDS[background] if isinstance(background, str) else background
    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = color
    for item in scene.items:
        own, alpha = sprite(item.sprite, round(item.size * scale))
        side = len(alpha)
        # rounding must not push an edge out of the picture
        top, left = (min(round(v * scale), size - side) for v in (item.y, item.x))
        patch = canvas[top : top + side, left : left + side]
        patch[:] = own + (1 - alpha) * patch
    pixels: np.ndarray = np.rint(canvas.clip(0, 255)).astype(np.uint8)
    return pixels


def render(scene: Scene, size: int = PRESETS[SHIPPED].size) -> Image.Image:
    """Draw a scene as a square RGB picture, `size` pixels a side."""
    return Image.fromarray(render_array(scene, size))
