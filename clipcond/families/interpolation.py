"""Between two tensors of one shape, as lists of vectors."""

import torch
from jaxtyping import Float

_PARALLEL = 1e-4  # radians: below it the sphere is flat


def lerp(
    x: Float[torch.Tensor, "*batch dim"], y: Float[torch.Tensor, "*batch dim"], t: float
) -> Float[torch.Tensor, "*batch dim"]:
    """x + t (y - x), in float32."""
    return torch.lerp(x.float(), y.float(), t).to(x.dtype)


def slerp(
    x: Float[torch.Tensor, "*batch dim"], y: Float[torch.Tensor, "*batch dim"], t: float
) -> Float[torch.Tensor, "*batch dim"]:
    """From x to y along a great circle, each vector on its own (Shoemake 1985), in float64."""
    one, other = x.double(), y.double()
    lengths = one.norm(dim=-1, keepdim=True) * other.norm(dim=-1, keepdim=True)
    cosine = ((one * other).sum(-1, keepdim=True) / lengths.clamp(min=1e-30)).clamp(-1, 1)
    angle = cosine.acos()
    flat = (angle < _PARALLEL) | (torch.pi - angle < _PARALLEL)
    safe = torch.where(flat, 1.0, angle)
    curved = (((1 - t) * safe).sin() * one + (t * safe).sin() * other) / safe.sin()
    return torch.where(flat, torch.lerp(one, other, t), curved).to(x.dtype)
