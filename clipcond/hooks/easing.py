"""How one keyframe becomes the next."""

from collections.abc import Callable

import torch

from clipcond.families import interpolation

# share of the way between two keyframes in time -> share of the way between what they say
EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),  # Hermite's, without a jerk at either end
    "step": lambda t: 0.0,  # noqa: ARG005
}

# (one, other, share) -> what lies between
CURVES: dict[str, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]] = {
    "lerp": interpolation.lerp,
    "slerp": interpolation.slerp,
}
