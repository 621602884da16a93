"""Picture files to what CLIP's image tower reads, at 224 px: JPEG of 512 and 1024 px, PNG of 1024 px, smooth noise. Peer: Pillow and transformers' own
CLIPImageProcessorPil. Ours exactly, which is compared bit for bit, and with `resizing="fast"`, which is at most two levels off on under 1 % of
values and never the default (JPEG by simplejpeg, to the same pixels). The limit is what decoding by Pillow takes alone."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil

from benchmarks.race import Row, check_equal, on_cpu, race
from clipcond.clip import Preprocessing
from clipcond.clip.images import picture_at_hand

KINDS = {"JPEG 512": ("jpg", 512), "JPEG 1024": ("jpg", 1024), "PNG 1024": ("png", 1024)}
COUNT, EXACT, FAST = 8, 1.3, 3.5
TRIED = (
    "What is left is decoding and resizing by the fastest means that give the same pixels (libjpeg-turbo; torch on bytes), and of a PNG its decoding by "
    "Pillow alone."
)


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 files are read by a CPU
    """Six: pictures a second."""
    processor = CLIPImageProcessorPil()
    exact = Preprocessing.from_config(processor.to_dict(), "CLIPImageProcessorPil")
    with tempfile.TemporaryDirectory() as folder:
        for kind, (ending, side) in KINDS.items():
            files = [
                _written(Path(folder) / f"{number}-{side}.{ending}", side, number)
                for number in range(COUNT)
            ]

            def theirs(files: list[Path] = files) -> list[torch.Tensor]:
                return [
                    processor(_opened(file), return_tensors="pt")["pixel_values"] for file in files
                ]

            def ours(own: Preprocessing, files: list[Path] = files) -> list[torch.Tensor]:
                return [
                    own.views(picture_at_hand(file, fast=own.resizing == "fast")) for file in files
                ]

            check_equal(torch.cat(ours(exact)), torch.cat(theirs()), "preproc_files", at_most=0)
            decode = min(
                on_cpu(lambda files=files: [_opened(file) for file in files]) for _ in range(5)
            )
            for name, own, target in (
                ("exact", exact, EXACT),
                ("fast", exact.resized("fast"), FAST),
            ):
                row = race(
                    f"preproc_files/{kind}, {name}/transformers",
                    partial(ours, own),
                    theirs,
                    count=COUNT,
                    unit="pictures/s",
                    device=torch.device("cpu"),
                    target=target,
                )
                yield row.limited(decode / COUNT * row.ours)


def _opened(file: Path) -> Image.Image:
    return Image.open(file).convert("RGB")


def _written(file: Path, side: int, seed: int) -> Path:
    noise = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
    picture.save(file, **({"quality": 90} if file.suffix == ".jpg" else {}))
    return file
