"""Small inputs of a call: pictures, masks, films, generators."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.zoo.animal import Call


def picture(size: int = 32) -> Image.Image:
    """A picture of noise, size x size."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def mask(size: int = 32) -> Image.Image:
    """White on the left half: what is to be painted."""
    white = np.zeros((size, size), dtype=np.uint8)
    white[:, : size // 2] = 255
    return Image.fromarray(white)


def film(frames: int, size: int = 32) -> list[Image.Image]:
    """`frames` pictures."""
    return [picture(size)] * frames


def image(size: int = 32) -> dict[str, Any]:
    """A picture to begin from."""
    return dict(image=picture(size), strength=0.9)


def inpaint(size: int = 32) -> dict[str, Any]:
    """A picture to begin from, half of which is to be painted."""
    return image(size) | dict(mask_image=mask(size))


def steps(count: int = 2, output: str = "latent", **more: Any) -> dict[str, Any]:
    """The settings that nearly every call takes."""
    generator = torch.Generator().manual_seed(0)
    return dict(num_inference_steps=count, generator=generator, output_type=output, **more)


def call(size: int = 0, **more: Any) -> Call:
    """A call with `steps`, at `size` x `size` where that is given, and with `more`."""
    sides = dict(height=size, width=size) if size else {}
    return lambda: steps(**sides, **more)
