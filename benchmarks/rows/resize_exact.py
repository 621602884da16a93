"""Pillow's resize as whole-number products on tensors (`clipcond.clip.resize`), six pictures to a shorter side of 224 pixels: how many values differ from
Pillow's, beside how many of torch's own antialiased bicubic of floats do, which GPU pipelines use; and pictures a second beside Pillow, which on a
GPU is the point and on a CPU is not (there Pillow is taken)."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image

from benchmarks.race import Row, race, row_of
from clipcond.clip.resize import resize

SIZES = [(512, 512), (1024, 1024), (768, 512), (500, 333), (1023, 767), (100, 150)]


def rows(device: torch.device) -> Iterator[Row]:
    """Two: values that differ, and pictures a second."""
    pictures = [_picture(size) for size in SIZES]
    tensors = [torch.from_numpy(np.array(p)).permute(2, 0, 1).to(device) for p in pictures]
    targets = [_target(size) for size in SIZES]
    theirs = [
        np.asarray(p.resize(to, Image.Resampling.BICUBIC))
        for p, to in zip(pictures, targets, strict=True)
    ]

    def ours() -> list[torch.Tensor]:
        pairs = zip(tensors, targets, strict=True)
        return [resize(t[None], to, Image.Resampling.BICUBIC)[0] for t, to in pairs]

    floats = [
        torch.nn.functional.interpolate(t[None].float(), size=to[::-1], mode="bicubic", antialias=True)[0]
        .round().clamp(0, 255).byte()
        for t, to in zip(tensors, targets, strict=True)
    ]  # fmt: skip
    own, other = (
        sum(
            int((f.permute(1, 2, 0).cpu().numpy() != t).sum())
            for f, t in zip(found, theirs, strict=True)
        )
        for found in (ours(), floats)
    )
    yield row_of(
        "resize_exact/values off Pillow's in six pictures/torch's antialiased floats",
        [(max(own, 1e-9), float(other))],
        unit="values",
        target=1e9,
        less=True,
    )
    yield race(
        "resize_exact/six pictures/Pillow on a CPU",
        ours,
        lambda: [
            p.resize(to, Image.Resampling.BICUBIC) for p, to in zip(pictures, targets, strict=True)
        ],
        count=len(SIZES),
        unit="pictures/s",
        device=device,
        target=None if device.type == "cpu" else 50.0,
    )


def _picture(size: tuple[int, int]) -> Image.Image:
    noise = np.random.default_rng(0).integers(
        0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8
    )
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def _target(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    return (224, int(224 * height / width)) if width <= height else (int(224 * width / height), 224)
