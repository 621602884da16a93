"""CLIP's picture preparation without torchvision: resize, crop, scale, normalise.

Equal to the last bit to transformers' CLIPImageProcessorPil (a test), which equals openai/CLIP's own transform.
The torchvision path that transformers prefers when it can differs by 1-2 grey levels, and a resize of float tensors
without antialiasing by up to 190, so there is one path here and its numbers go into every score's provenance.

CLIP reads squares. What becomes of a picture that is none is a named policy:

- center: the shorter side to size, the middle cut out, as CLIP was trained. A 16:9 picture loses 44 % of its pixels.
- pad: the longer side to size, the rest filled with the mean colour, which is zero to the tower. Nothing is lost, all is smaller.
- multi: the shorter side to size, as many squares as it takes to cover the longer one, evenly spaced; their features are
  averaged. Nothing is lost; costs a forward a square.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from clipcond.errors import CheckpointError, ScoreError

# of the resized picture: a 1 x 100,000 strip would become 224 x 22,400,000
_MAX_PIXELS = 200_000_000
_MAX_VIEWS = 16

Square = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """The numbers of a checkpoint's preprocessor_config.json, and a crop policy.

    Attributes:
        shortest_edge: length in pixels that the shorter side is resized to, keeping the aspect.
        crop: (height, width) in pixels of what the image tower reads.
        resample: PIL's number of the resize filter; 3 is bicubic.
        rescale_factor: what bytes are multiplied by, 1/255 in all CLIP checkpoints.
        mean: per channel, subtracted after rescaling.
        std: per channel, divided by.
        policy: "center", "pad" or "multi".
    """

    shortest_edge: int
    crop: tuple[int, int]
    resample: int
    rescale_factor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    policy: str = "center"

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
                resample=int(Image.Resampling(config.get("resample", Image.Resampling.BICUBIC))),
                rescale_factor=float(config.get("rescale_factor", 1 / 255)),
                mean=_three(config["image_mean"]),
                std=_three(config["image_std"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{source}: not a CLIP image processor ({type(error).__name__}: {error}); needs size.shortest_edge, "
                "crop_size, image_mean and image_std"
            ) from error
        if not np.isfinite([*built.mean, *built.std]).all() or min(built.std) <= 0:
            raise CheckpointError(
                f"{source}: image_mean {list(built.mean)} and image_std {list(built.std)} do not normalise; "
                "they are finite, and std is over 0"
            )
        if min(built.crop) < 1 or built.shortest_edge < max(built.crop):
            raise CheckpointError(
                f"{source}: resizes to {built.shortest_edge} but crops {built.crop}; the crop must fit inside"
            )
        return built

    def cropping(self, policy: str) -> "Preprocessing":
        """The same with another crop policy.

        Raises:
            ScoreError: there is no such policy.
        """
        if policy not in POLICIES:
            raise ScoreError(f"crop: got {policy!r}; choose one of {', '.join(POLICIES)}")
        return replace(self, policy=policy)

    def __call__(self, pictures: Sequence[Image.Image]) -> Float[torch.Tensor, "n 3 height width"]:
        """RGB pictures of any sizes to the image tower's input, float32: one view each, or under "multi" all of each.

        Raises:
            ScoreError: a picture so elongated that its resized form would fill the memory.
        """
        return torch.cat([self.views(picture) for picture in pictures])

    def views(self, picture: Image.Image) -> Float[torch.Tensor, "views 3 height width"]:
        """What the image tower sees of one RGB picture, float32: one view, or under "multi" one or more.

        Raises:
            ScoreError: the picture is too elongated.
        """
        squares = POLICIES[self.policy](self, picture)
        return torch.from_numpy(np.stack([self._normalised(square) for square in squares]))

    def _normalised(self, square: Square) -> np.ndarray:
        # float64 product, then float32: the order in which transformers rounds. Done once for each of the 256 bytes
        scaled = (np.arange(256, dtype=np.float64) * self.rescale_factor).astype(np.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        levels = (scaled[:, None] - mean) / std
        return np.stack([levels[:, i][square[..., i]] for i in range(3)])

    def as_dict(self) -> dict[str, object]:
        """For provenance: JSON-able, with the policies spelled out."""
        height, width = self.crop
        return {
            "resize": f"shortest edge to {self.shortest_edge}, PIL {Image.Resampling(self.resample).name.lower()}"
            if self.policy != "pad"
            else f"longest edge to {max(self.crop)}, PIL {Image.Resampling(self.resample).name.lower()}",
            "crop": f"{self.policy} {height} x {width}",
            "mean": list(self.mean),
            "std": list(self.std),
            "transparency": "white",
            "floats": "round(255 x)",
        }

    def to_config(self) -> dict[str, object]:
        """The content of a preprocessor_config.json; the policy is not in it, since no other reader knows it."""
        height, width = self.crop
        switches = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb")
        return {
            "image_processor_type": "CLIPImageProcessor",
            **dict.fromkeys(switches, True),
            "size": {"shortest_edge": self.shortest_edge},
            "crop_size": {"height": height, "width": width},
            "resample": self.resample,
            "rescale_factor": self.rescale_factor,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    def describe(self) -> str:
        """The same in a line."""
        named = self.as_dict()
        return f"{named['resize']}; {named['crop']}; mean {named['mean']}, std {named['std']}"


def _center(preprocessing: Preprocessing, picture: Image.Image) -> list[Square]:
    resized = _shorter_to_size(preprocessing, picture)
    height, width = preprocessing.crop
    top, left = (resized.shape[0] - height) // 2, (resized.shape[1] - width) // 2
    return [resized[top : top + height, left : left + width]]


def _pad(preprocessing: Preprocessing, picture: Image.Image) -> list[Square]:
    height, width = preprocessing.crop
    scale = min(height / picture.height, width / picture.width)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resized = picture.resize(inner, resample=Image.Resampling(preprocessing.resample))
    filled = np.empty((height, width, 3), np.uint8)
    filled[:] = np.round(np.array(preprocessing.mean) / preprocessing.rescale_factor)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    filled[top : top + inner[1], left : left + inner[0]] = np.asarray(resized)
    return [filled]


def _multi(preprocessing: Preprocessing, picture: Image.Image) -> list[Square]:
    count = -(-max(picture.size) // min(picture.size))
    if count > _MAX_VIEWS:
        raise ScoreError(
            f"image: got a strip of {picture.width} x {picture.height}, which takes {count} squares to cover and "
            f"{_MAX_VIEWS} are the most; cut out the part to score"
        )
    resized = _shorter_to_size(preprocessing, picture)
    height, width = preprocessing.crop
    room_y, room_x = resized.shape[0] - height, resized.shape[1] - width
    squares = []
    for i in range(count):
        # spread over the longer side, in the middle of the shorter; a single one in the middle of both
        along = i / (count - 1) if count > 1 else 0.5
        top = int(room_y * (along if room_y > room_x else 0.5))
        left = int(room_x * (along if room_x >= room_y else 0.5))
        squares.append(resized[top : top + height, left : left + width])
    return squares


POLICIES: dict[str, Callable[[Preprocessing, Image.Image], list[Square]]] = {
    "center": _center,
    "pad": _pad,
    "multi": _multi,
}


def _shorter_to_size(
    preprocessing: Preprocessing, picture: Image.Image
) -> UInt8[np.ndarray, "height width 3"]:
    width, height = picture.size
    edge = preprocessing.shortest_edge
    if width <= height:
        target = (edge, int(edge * height / width))
    else:
        target = (int(edge * width / height), edge)
    if target[0] * target[1] > _MAX_PIXELS:
        raise ScoreError(
            f"image: got a strip of {width} x {height}, which CLIP would resize to {target[0]} x {target[1]}; "
            "cut out the part to score"
        )
    resized = picture.resize(target, resample=Image.Resampling(preprocessing.resample))
    return np.asarray(resized)


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
