"""The places of a picture, as its denoiser sees them."""

from typing import Any

import torch

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.hooks.blending import grid_of
from clipcond.hooks.run import Run


def places_of(run: Run, noisy: torch.Tensor) -> tuple[int, int]:
    """The rows and columns of noisy pictures, or of what is predicted for them.

    Args:
        run: in which they are drawn.
        noisy: [rows, ..., height, width], or as a sequence of patches, [rows, patches, dim].

    Raises:
        UnsupportedPipelineError: a sequence that is not that of the picture's patches alone.
    """
    if noisy.ndim > 3:
        height, width = noisy.shape[-2:]
        return height, width
    pipe, arguments = run.session.pipe, run.arguments
    height, width = (arguments.get(side) or _default(pipe) for side in ("height", "width"))
    what = f"regions: the denoiser of {type(pipe).__name__} reads a sequence, here of {noisy.shape[1]} patches"
    if "num_frames" in arguments:
        raise UnsupportedPipelineError(f"{what}, of a film; only pictures have known places there")
    try:
        return grid_of(noisy.shape[1], height, width)
    except ClipcondError as error:
        raise UnsupportedPipelineError(
            f"{what}, and not those of one picture of {height} x {width}: take a pipeline that reads nothing beside it"
        ) from error


def _default(pipe: Any) -> int:
    """How high and wide a pipeline draws where its call does not say."""
    return int(getattr(pipe, "default_sample_size", 0) * getattr(pipe, "vae_scale_factor", 0))
