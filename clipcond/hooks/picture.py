"""The places of a picture, as its denoiser sees them."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.hooks.blending import grid_of
from clipcond.hooks.region import Region, shares
from clipcond.hooks.run import Run

# whose noisy pictures have their channels last
_CHANNELS_LAST = ("Kandinsky 5 pictures", "Kandinsky 5 films", "Kandinsky 6")


def places_of(run: Run, noisy: torch.Tensor) -> tuple[int, int]:
    """The rows and columns of noisy pictures, or of what is predicted for them.

    Args:
        run: in which they are drawn.
        noisy: [rows, ..., height, width], in some families channels after that; or as a sequence of patches, [rows, patches, dim].

    Raises:
        UnsupportedPipelineError: a sequence that is not that of the picture's patches alone.
    """
    if noisy.ndim > 3:
        last = run.session.family.name in _CHANNELS_LAST
        height, width = noisy.shape[-3:-1] if last else noisy.shape[-2:]
        return height, width
    pipe, arguments = run.session.pipe, run.arguments
    height, width = (arguments.get(side) or _default(pipe) for side in ("height", "width"))
    what = f"regions: the denoiser of {type(pipe).__name__} reads a sequence, here of {noisy.shape[1]} patches"
    if "num_frames" in arguments or not height:
        raise UnsupportedPipelineError(f"{what}, and not of a picture, so that no places are known")
    try:
        return grid_of(noisy.shape[1], height, width)
    except ClipcondError as error:
        raise UnsupportedPipelineError(
            f"{what}, and not those of one picture of {height} x {width}: take a pipeline that reads nothing beside it"
        ) from error


def shares_of(
    run: Run, regions: Sequence[Region], predicted: torch.Tensor
) -> Float[torch.Tensor, "parts ..."]:
    """How much of each place of a prediction is the base prompt's, then each region's; in shapes that go with it."""
    found = shares(regions, *places_of(run, predicted))
    if predicted.ndim == 3:
        return found.flatten(1)[:, :, None]
    return found[..., None] if run.session.family.name in _CHANNELS_LAST else found


def _default(pipe: Any) -> int:
    """How high and wide a pipeline draws where its call does not say."""
    return int(getattr(pipe, "default_sample_size", 0) * getattr(pipe, "vae_scale_factor", 0))
