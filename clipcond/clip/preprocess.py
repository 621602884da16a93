"""CLIP's picture preparation without torchvision: resize, crop, scale, normalise.

Equal to the last bit to transformers' CLIPImageProcessorPil and SiglipImageProcessorPil for checkpoints in transformers'
layout, and to what openai/CLIP and open_clip compute with torchvision for those in theirs (tests). The two differ in one
thing: where an odd number of pixels is cut off, transformers cuts the smaller half off first and torchvision rounds to
the even one, so of widths resized to 225 to 640 the crop to 224 is a pixel off at 104. The torchvision path that
transformers prefers when it can differs by 1-2 grey levels, and a resize of float tensors without antialiasing by up to
190, so there is one path here and its numbers go into every score's provenance.

CLIP reads squares. What becomes of a picture that is none is a named policy:

- center: the shorter side to size, the middle cut out, as most CLIPs were trained. A 16:9 picture loses 44 % of its pixels.
- squash: both sides to size, as SigLIP, DFN5B's 378 and others were trained. Nothing is lost, all is narrower.
- pad: the longer side to size, the rest filled with the mean colour, which is zero to the tower. Nothing is lost, all is smaller.
- multi: the shorter side to size, as many squares as it takes to cover the longer one, evenly spaced; their features are
  averaged. Nothing is lost; costs a forward a square.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from clipcond.clip.crops import POLICIES, Cut, Pixels
from clipcond.clip.resize import resize
from clipcond.errors import CheckpointError, ScoreError

RESIZINGS = {
    "exact": "PIL",
    "fast": "fast, a level or two off PIL's on under 1 % of values; PIL",
}
"""Ways of resizing pictures, each as provenance tells it: Pillow's exactly, or faster and almost so."""
_HALVES = {"down": "transformers", "even": "torchvision"}
_FAST = {
    Image.Resampling.BICUBIC: "bicubic"
}  # bilinear weights leave twenty times as many values between two levels

Picture = (
    Image.Image | torch.Tensor
)  # RGB; a tensor is uint8 [3, height, width], on a device that has float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """The numbers of a checkpoint's preprocessor_config.json or open_clip_config.json, and a crop policy.

    Attributes:
        shortest_edge: length in pixels that the shorter side is resized to, keeping the aspect.
        crop: (height, width) in pixels of what the image tower reads.
        resample: PIL's number of the resize filter; 3 is bicubic.
        rescale_factor: what bytes are multiplied by, 1/255 in all CLIP checkpoints.
        mean: per channel, subtracted after rescaling.
        std: per channel, divided by.
        trained: the policy that the checkpoint asks for: "center", "squash", or "pad" (open_clip's "longest").
        policy: "center", "squash", "pad" or "multi".
        halves: where half a pixel goes when the middle is cut out: "down" as in transformers, "even" as in torchvision.
        fill: the byte that "pad" fills with; None for the mean colour.
        resizing: "exact" as Pillow, or "fast" as torch's own for bytes, which is seven times faster and differs by a level or two on
            under 1 % of values.
    """

    shortest_edge: int
    crop: tuple[int, int]
    resample: int
    rescale_factor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    trained: str = "center"
    policy: str = "center"
    halves: str = "down"
    fill: int | None = None
    resizing: str = "exact"

    @classmethod
    def from_config(cls, config: Mapping[str, Any], source: str) -> "Preprocessing":
        """Read a preprocessor_config.json's content; `source` names the file in errors.

        A size of {"height", "width"} squashes, one of {"shortest_edge"} or a bare number keeps the aspect and is cropped.

        Raises:
            CheckpointError: a number is missing, or asks for what no CLIP does.
        """
        squash = isinstance(config.get("size"), Mapping) and "height" in config["size"]
        for switch in ("do_resize", "do_center_crop", "do_rescale", "do_normalize"):
            optional = squash and switch == "do_center_crop"
            if config.get(switch, True) is not True and not optional:
                raise CheckpointError(f"{source}: {switch} is {config[switch]!r}; CLIP needs true")
        try:
            size = config["size"]
            cropped = config.get("do_center_crop", config.get("crop_size") is not None)
            crop = size if squash and not cropped else config["crop_size"]
            built = cls(
                shortest_edge=int(size["height" if squash else "shortest_edge"])
                if isinstance(size, Mapping)
                else int(size),
                crop=(int(crop["height"]), int(crop["width"]))
                if isinstance(crop, Mapping)
                else (int(crop), int(crop)),
                resample=int(Image.Resampling(config.get("resample", Image.Resampling.BICUBIC))),
                rescale_factor=float(config.get("rescale_factor", 1 / 255)),
                mean=_three(config["image_mean"]),
                std=_three(config["image_std"]),
                trained="squash" if squash else "center",
                policy="squash" if squash else "center",
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{source}: not a CLIP image processor ({type(error).__name__}: {error}); needs size.shortest_edge and "
                "crop_size, or size.height and size.width, and image_mean and image_std"
            ) from error
        if squash and len({size["height"], size["width"], *built.crop}) > 1:
            raise CheckpointError(
                f"{source}: squashes to {dict(size)} and crops {built.crop}; read are squares of one size, and "
                "size.shortest_edge with a crop_size"
            )
        built.check(source)
        return built

    def check(self, source: str) -> None:
        """That the numbers can be computed with; `source` names the file in errors.

        Raises:
            CheckpointError: they cannot.
        """
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise CheckpointError(
                f"{source}: image_mean {list(self.mean)} and image_std {list(self.std)} do not normalise; "
                "they are finite, and std is over 0"
            )
        if min(self.crop) < 1 or self.shortest_edge < max(self.crop):
            raise CheckpointError(
                f"{source}: resizes to {self.shortest_edge} but crops {self.crop}; the crop must fit inside"
            )

    def cropping(self, policy: str | None) -> "Preprocessing":
        """The same with another crop policy; None for the one that the checkpoint asks for.

        Raises:
            ScoreError: there is no such policy.
        """
        policy = self.trained if policy is None else policy
        if policy not in POLICIES:
            raise ScoreError(f"crop: got {policy!r}; choose one of {', '.join(POLICIES)}")
        return replace(self, policy=policy)

    def resized(self, resizing: str) -> "Preprocessing":
        """The same with another way to resize.

        Raises:
            ScoreError: there is no such way, or not for this filter.
        """
        if resizing not in RESIZINGS:
            raise ScoreError(f"resizing: got {resizing!r}; choose one of {', '.join(RESIZINGS)}")
        if resizing == "fast" and self.resample not in _FAST:
            name = Image.Resampling(self.resample).name.lower()
            raise ScoreError(
                f"resizing: 'fast' has no {name} filter, which this CLIP wants; leave it"
            )
        return replace(self, resizing=resizing)

    def __call__(self, pictures: Sequence[Picture]) -> Float[torch.Tensor, "n 3 height width"]:
        """RGB pictures of any sizes to the image tower's input, float32: one view each, or under "multi" all of each.

        Raises:
            ScoreError: a picture so elongated that its resized form would fill the memory.
        """
        return torch.cat([self.views(picture) for picture in pictures])

    def views(self, picture: Picture) -> Float[torch.Tensor, "views 3 height width"]:
        """What the image tower sees of one RGB picture, float32: one view, or under "multi" one or more.

        A tensor's are made on its device, and are those of the same pixels in a PIL image to the last bit.

        Raises:
            ScoreError: the picture is too elongated.
        """
        if isinstance(picture, torch.Tensor):
            size = (picture.shape[2], picture.shape[1])
            resized: Callable[..., Pixels] = partial(_tensor_resized, self, picture)
        else:
            size, resized = picture.size, partial(_image_resized, self, picture)
        mean = np.round(np.array(self.mean) / self.rescale_factor).tolist()
        cut = Cut(
            size=size,
            resized=resized,
            shortest_edge=self.shortest_edge,
            crop=self.crop,
            halves=self.halves,
            fill=_three(mean if self.fill is None else [float(self.fill)] * 3),
        )
        squares = POLICIES[self.policy](cut)
        levels = _levels(self.rescale_factor, self.mean, self.std)
        return torch.stack([_normalised(square, levels) for square in squares])

    def as_dict(self) -> dict[str, object]:
        """For provenance: JSON-able, with the policies spelled out."""
        height, width = self.crop
        return {
            "resize": f"{self._target()}, {RESIZINGS[self.resizing]} {Image.Resampling(self.resample).name.lower()}",
            "crop": f"{self.policy} {height} x {width}",
            "halves": f"{self.halves}, as {_HALVES[self.halves]}",
            **(
                {"fill": "mean" if self.fill is None else self.fill} if self.policy == "pad" else {}
            ),
            "mean": list(self.mean),
            "std": list(self.std),
            "transparency": "white",
            "floats": "round(255 x)",
        }

    def _target(self) -> str:
        height, width = self.crop
        match self.policy:
            case "pad":
                return f"longest edge to {max(self.crop)}"
            case "squash":
                return f"both edges to {height} x {width}"
            case _:
                return f"shortest edge to {self.shortest_edge}"

    def to_config(self) -> dict[str, object]:
        """The content of a preprocessor_config.json, with the policy that the checkpoint asks for.

        Raises:
            CheckpointError: it asks for one that transformers does not have.
        """
        if self.trained == "pad":
            raise CheckpointError(
                "pictures whose longer side is fitted and the rest filled are nothing that preprocessor_config.json can "
                "say; save with layout='openclip'"
            )
        height, width = self.crop
        square = {"height": height, "width": width}
        switches = ("do_resize", "do_rescale", "do_normalize", "do_convert_rgb")
        crops = (
            {"image_processor_type": "SiglipImageProcessor", "size": square}
            if self.trained == "squash"
            else {
                "image_processor_type": "CLIPImageProcessor",
                "do_center_crop": True,
                "size": {"shortest_edge": self.shortest_edge},
                "crop_size": square,
            }
        )
        return {
            **crops,
            **dict.fromkeys(switches, True),
            "resample": self.resample,
            "rescale_factor": self.rescale_factor,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    def describe(self) -> str:
        """The same in a line."""
        named = self.as_dict()
        return f"{named['resize']}; {named['crop']}; mean {named['mean']}, std {named['std']}"


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _image_resized(
    preprocessing: Preprocessing, picture: Image.Image, size: tuple[int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    resample = Image.Resampling(preprocessing.resample)
    if preprocessing.resizing == "fast" and size != picture.size:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return _fast(pixels, size, resample)
    return np.asarray(picture.resize(size, resample))


def _tensor_resized(
    preprocessing: Preprocessing,
    pixels: UInt8[torch.Tensor, "3 height width"],
    size: tuple[int, int],
) -> Pixels:
    resample = Image.Resampling(preprocessing.resample)
    # on an accelerator the exact way is as fast
    if preprocessing.resizing == "fast" and pixels.device.type == "cpu":
        return _fast(pixels, size, resample)
    return resize(pixels[None], size, preprocessing.resample)[0].permute(1, 2, 0)


def _fast(
    pixels: UInt8[torch.Tensor, "3 height width"],
    size: tuple[int, int],
    resample: Image.Resampling,
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """torch's resize of bytes, whose coefficients have fewer bits than Pillow's."""
    found = torch.nn.functional.interpolate(
        pixels[None], size=(size[1], size[0]), mode=_FAST[resample], antialias=True
    )
    result: np.ndarray = found[0].permute(1, 2, 0).numpy()
    return result


@lru_cache(maxsize=32)
def _levels(
    rescale_factor: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[np.ndarray, "3 256"]:
    """What each of the 256 bytes becomes in each channel."""
    # float64 product, then float32: the order in which transformers rounds
    scaled = (np.arange(256, dtype=np.float64) * rescale_factor).astype(np.float32)
    return (scaled - np.array(mean, np.float32)[:, None]) / np.array(std, np.float32)[:, None]


def _normalised(
    square: Pixels, levels: Float[np.ndarray, "3 256"]
) -> Float[torch.Tensor, "3 height width"]:
    if isinstance(square, torch.Tensor):
        own = torch.from_numpy(levels).to(square.device)
        pairs = zip(own, square.permute(2, 0, 1), strict=True)
        return torch.stack([table[channel.long()] for table, channel in pairs])
    channels = np.ascontiguousarray(square.transpose(2, 0, 1))
    found = np.empty(channels.shape, np.float32)
    for table, plane, out in zip(levels, channels, found, strict=True):
        np.take(table, plane, out=out, mode="clip")  # no byte is beyond the table; without a check
    return torch.from_numpy(found)
