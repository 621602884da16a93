"""Classifier-free guidance (Ho and Salimans 2022) by the step: an interval (Kynkäänniemi et al. 2024), another scale.

A pipeline makes u + s (c - u) of its unconditional and conditional predictions. To be given c + k (u - c) in the place of
u makes it c + (s - 1) k (c - u), which is with k = (s' - 1) / (s - 1) the guidance of another scale s': nothing else of the
pipeline needs to know. Where s' is 1, k is 0 and u need not be computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from clipcond.errors import ClipcondError
from clipcond.hooks.clock import Moment

# a guidance scale for each share of the run: a function of it, or a table whose entries last equally long
Scale = Callable[[float], int | float] | Sequence[int | float] | int | float
Interval = tuple[int | float, int | float]


@dataclass(frozen=True, slots=True)
class Guidance:
    """When and how strongly to guide.

    Attributes:
        interval: shares of the run between which to guide; the first is in it, the second is not.
        scale: in place of the pipeline's own; None leaves that.
    """

    interval: Interval = (0.0, 1.0)
    scale: Scale | None = None

    def __post_init__(self) -> None:
        start, end = self.interval
        if not 0 <= start <= end <= 1:
            raise ClipcondError(
                f"interval: got {self.interval}; needs two rising shares of the run, such as (0.2, 0.8)"
            )
        if isinstance(self.scale, Sequence) and not self.scale:
            raise ClipcondError("scale: got an empty table; give at least one guidance scale")

    def at(self, moment: Moment, added: float) -> float | None:
        """The scale at a moment, with what the pipeline would add to it; None for the pipeline's own."""
        start, end = self.interval
        if not start <= moment.share < end:
            return 1.0
        if self.scale is None:
            return None
        if isinstance(self.scale, int | float):
            return self.scale + added
        if isinstance(self.scale, Sequence):
            return self.scale[int(moment.share * len(self.scale))] + added
        return self.scale(moment.share) + added


def own_scale(pipe: Any, arguments: Mapping[str, Any]) -> float:
    """The guidance scale of a pipeline's call; 1 where it has none."""
    has_own = hasattr(pipe, "do_classifier_free_guidance")
    if "true_cfg_scale" in arguments and not has_own:  # beside one that the denoiser reads
        return float(arguments["true_cfg_scale"])
    guider = getattr(pipe, "guider", None)
    found = getattr(guider or pipe, "guidance_scale", None)
    return float(arguments.get("guidance_scale") or 1.0) if found is None else float(found)


def is_guided(pipe: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether a pipeline's call asks its denoiser for both sides."""
    negatives = [own for name, own in arguments.items() if name.startswith("negative_prompt")]
    own = getattr(pipe, "do_classifier_free_guidance", None)
    if own is None and "true_cfg_scale" in arguments:
        return own_scale(pipe, arguments) > 1 and any(own is not None for own in negatives)
    return bool(negatives) and (own_scale(pipe, arguments) > 1 if own is None else bool(own))


def towards(
    conditional: torch.Tensor, unconditional: torch.Tensor, wanted: float, own: float
) -> torch.Tensor:
    """What to hand a pipeline that guides with its `own` scale as unconditional, so that it guides with `wanted`."""
    if own == 1:
        raise ClipcondError(
            "scale: the pipeline's own guidance scale is 1, so that it does not guide"
        )
    return torch.lerp(conditional, unconditional, (wanted - 1) / (own - 1))
