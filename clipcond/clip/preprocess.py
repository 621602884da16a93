"""CLIP's picture preparation without torchvision: resize, centre crop, scale, normalise.

Equal to the last bit to transformers' CLIPImageProcessorPil (a test), which equals openai/CLIP's own transform.
The torchvision path that transformers prefers when it can differs by 1-2 grey levels, and a resize of float tensors
without antialiasing by up to 190, so there is one path here and its numbers go into every score's provenance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from clipcond.errors import CheckpointError, ScoreError

# of the resized picture: a 1 x 100,000 strip would become 224 x 22,400,000
_MAX_PIXELS = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """The numbers of a checkpoint's preprocessor_config.json.

    Attributes:
        shortest_edge: length in pixels that the shorter side is resized to, keeping the aspect.
        crop: (height, width) in pixels cut from the centre.
        resample: PIL's number of the resize filter; 3 is bicubic.
        rescale_factor: what bytes are multiplied by, 1/255 in all CLIP checkpoints.
        mean: per channel, subtracted after rescaling.
        std: per channel, divided by.
    """

    shortest_edge: int
    crop: tuple[int, int]
    resample: int
    rescale_factor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], source: str) -> "Preprocessing":
        """Read a preprocessor_config.json's content; `source` names the file in errors.

        Raises:
            CheckpointError: a number is missing, or asks for what CLIP does not do (no crop, a squashing resize).
        """
        for switch in ("do_resize", "do_center_crop", "do_rescale", "do_normalize"):
            if config.get(switch, True) is not True:
                raise CheckpointError(f"{source}: {switch} is {config[switch]!r}; CLIP needs true")
        try:
            size, crop = config["size"], config["crop_size"]
            built = cls(
                shortest_edge=int(size["shortest_edge"] if isinstance(size, Mapping) else size),
                crop=(int(crop["height"]), int(crop["width"]))
                if isinstance(crop, Mapping)
                else (int(crop), int(crop)),
                resample=int(config.get("resample", Image.Resampling.BICUBIC)),
                rescale_factor=float(config.get("rescale_factor", 1 / 255)),
                mean=_three(config["image_mean"]),
                std=_three(config["image_std"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{source}: not a CLIP image processor ({type(error).__name__}: {error}); needs size.shortest_edge, "
                "crop_size, image_mean and image_std"
            ) from error
        if built.shortest_edge < max(built.crop):
            raise CheckpointError(
                f"{source}: resizes to {built.shortest_edge} but crops {built.crop}; the crop must fit inside"
            )
        return built

    def __call__(self, pictures: Sequence[Image.Image]) -> Float[torch.Tensor, "n 3 height width"]:
        """RGB pictures of any sizes to the image tower's input, float32.

        Raises:
            ScoreError: a picture so elongated that its resized form would fill the memory.
        """
        return torch.from_numpy(np.stack([self._prepare(picture) for picture in pictures]))

    def _prepare(self, picture: Image.Image) -> np.ndarray:
        width, height = self._resized(picture.size)
        resized = picture.resize((width, height), resample=Image.Resampling(self.resample))
        crop_height, crop_width = self.crop
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        cropped = np.asarray(resized)[top : top + crop_height, left : left + crop_width]
        # float64 product, then float32: the order in which transformers rounds
        scaled = (cropped.astype(np.float64) * self.rescale_factor).astype(np.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return ((scaled - mean) / std).transpose(2, 0, 1)

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = size
        edge = self.shortest_edge
        if width <= height:
            target = (edge, int(edge * height / width))
        else:
            target = (int(edge * width / height), edge)
        if target[0] * target[1] > _MAX_PIXELS:
            raise ScoreError(
                f"image: got a strip of {width} x {height}, which CLIP would resize to {target[0]} x {target[1]}; "
                "cut out the part to score"
            )
        return target

    def as_dict(self) -> dict[str, object]:
        """For provenance: JSON-able, with the policy spelled out."""
        return {
            "resize": f"shortest edge to {self.shortest_edge}, PIL {Image.Resampling(self.resample).name.lower()}",
            "mean": list(self.mean),
            "std": list(self.std),
            "transparency": "white",
            "floats": "round(255 x)",
        }


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
