"""Maps of heat over pictures."""

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

# from nothing to most: black, purple, orange, pale yellow, about as matplotlib's inferno
_COLORS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]])
_MAP = 0.6  # its part in the picture


def heated(image: Image.Image, heat: Float[torch.Tensor, "h w"]) -> Image.Image:
    """A picture, grey, under a map of heat that is stretched over it; where all is 0 it is dark."""
    strength = Image.fromarray(heat.numpy().astype(np.float32)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    values = np.asarray(strength).clip(0) / max(float(heat.max()), 1e-12)
    steps = np.linspace(0, 1, len(_COLORS))
    colors = np.stack([np.interp(values, steps, channel) for channel in _COLORS.T], axis=-1)
    grey = Image.merge("RGB", [image.convert("L")] * 3)
    return Image.blend(grey, Image.fromarray(colors.round().astype(np.uint8)), _MAP)
