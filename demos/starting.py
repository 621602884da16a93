"""Drawing from a picture in place of noise alone: what a drawing starts from, and the pipeline that does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffusers import AutoPipelineForImage2Image
from PIL import Image, ImageOps

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.finding import call_arguments, family_of_pipeline

from .settings import number
from .uploads import read_uploads

LEAST, USUAL = 0.1, 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a drawing starts from.

    Attributes:
        picture: RGB, as large as the model draws.
        strength: share of the steps that are taken, 0.1 to 1; before them stands the picture with that much noise.
    """

    picture: Image.Image
    strength: float


def start_of(picture: Image.Image | None, strength: Any, steps: int) -> Start | None:
    """Checked; None without a picture.

    Raises:
        ClipcondError: a strength that makes no sense, or takes no step.
    """
    if picture is None:
        return None
    share = number(strength, "strength", LEAST, 1.0)
    if int(steps * share) < 1:
        raise ClipcondError(
            f"strength: {share:g} of {steps} steps is not one whole step; take more of either"
        )
    return Start(picture=picture, strength=share)


def fitted(paths: Sequence[str], pipe: Any) -> Image.Image:
    """An uploaded picture's middle square, as large as the pipeline draws.

    Raises:
        ClipcondError: what cannot be read.
    """
    (picture,) = read_uploads(paths, most=1).pictures
    return ImageOps.fit(picture, (side_of(pipe),) * 2, Image.Resampling.LANCZOS)


def side_of(pipe: Any) -> int:
    """Pixels of a picture's side where a call does not say; 0 where the pipeline does not tell."""
    unet = getattr(pipe, "unet", None)
    cells = getattr(pipe, "default_sample_size", 0) or getattr(unet, "config", {}).get(
        "sample_size", 0
    )
    return int(cells or 0) * int(getattr(pipe, "vae_scale_factor", 0))


def sibling(pipe: Any) -> Any | None:
    """The pipeline of the same parts that starts from a picture; None where diffusers or conditioning know none."""
    try:
        found = AutoPipelineForImage2Image.from_pipe(pipe)
        family_of_pipeline(found)
    except (ValueError, UnsupportedPipelineError):
        return None
    if not side_of(found) or not {"image", "strength"} <= call_arguments(found).keys():
        return None
    found.set_progress_bar_config(disable=True)
    return found
