"""What a language model that reads pictures is shown of them with a prompt: as a pipeline prepares them, before its words."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from clipcond.errors import ClipcondError

Pictures = Any  # a PIL picture, or a list of them
_PATCHES = "<|image_pad|>"  # as many as a picture has tokens
_STEP = 32  # pixels of which sides are multiples


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How a family's pipelines show pictures.

    Attributes:
        area: pixels that a picture is brought to, its sides in proportion.
        mark: what stands for one before the prompt, with "{}" for its number where that is said.
        most: how many there may be.
        processor: where the pipeline keeps what cuts them into patches.
    """

    area: int
    mark: str
    most: int
    processor: str = "processor"

    def shown(self, pictures: Pictures, processor: Any) -> "Shown":
        """Pictures as the encoder reads them.

        Args:
            pictures: those of a call.
            processor: transformers', of pictures, or of pictures and texts.

        Raises:
            ClipcondError: none, too many, or what is no picture.
        """
        found = list(pictures) if isinstance(pictures, list | tuple) else [pictures]
        if not found or not all(isinstance(picture, Image.Image) for picture in found):
            raise ClipcondError(
                f"image: got {pictures!r}; this model reads pictures with the prompt: pass a PIL picture, or a list of up to "
                f"{self.most}"
            )
        if len(found) > self.most:
            raise ClipcondError(f"image: got {len(found)} pictures; this model reads {self.most}")
        cut = getattr(processor, "image_processor", processor)
        made = cut(images=[self._resized(picture) for picture in found], return_tensors="pt")
        tokens = made["image_grid_thw"].prod(1) // cut.merge_size**2
        marks = [
            self.mark.format(number + 1).replace(_PATCHES, _PATCHES * int(count))
            for number, count in enumerate(tokens)
        ]
        tensors = {name: made[name] for name in ("pixel_values", "image_grid_thw")}
        return Shown("".join(marks), int(tokens.sum()), tensors)

    def _resized(self, picture: Image.Image) -> Image.Image:
        """To about `area`, as diffusers' calculate_dimensions has it."""
        ratio = picture.width / picture.height
        width = math.sqrt(self.area * ratio)
        size = round(width / _STEP) * _STEP, round(width / ratio / _STEP) * _STEP
        return picture.resize(size, Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Pictures of a call.

    Attributes:
        marks: what stands for them before the prompt.
        tokens: how many those are, but for what is around them.
        tensors: by the names of the encoder's arguments; of one row.
    """

    marks: str
    tokens: int
    tensors: Mapping[str, torch.Tensor]

    @property
    def digest(self) -> str:
        """Of every bit of them."""
        found = hashlib.blake2b(digest_size=16)
        for tensor in self.tensors.values():
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()
