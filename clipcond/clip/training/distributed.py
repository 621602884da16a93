"""Rows of all processes together, with gradients that are exact.

Processes have shares of a batch that need not be equal, or may be empty. The order is that of the processes.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch.autograd.function import once_differentiable


def world() -> tuple[int, int]:
    """(which process this is, how many there are)."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def counts(own: int, device: torch.device) -> list[int]:
    """How many rows each process has."""
    _, size = world()
    if size == 1:
        return [own]
    found = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(size)]
    dist.all_gather(found, torch.tensor([own], device=device))
    return [int(count) for count in found]


def gather(own: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, [n, ...] to [N, ...]; the gradient of a row is the sum of what all processes say of it."""
    if world()[1] == 1:
        return own
    sizes = counts(len(own), own.device)
    gathered: torch.Tensor = _Gather.apply(own, sizes)  # type: ignore[no-untyped-call]
    return gathered


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over processes, without a gradient."""
    size, total = world()[1], value.detach().clone()
    if size > 1:
        dist.all_reduce(total)
    return total / size


class _Gather(torch.autograd.Function):
    """All shares, filled up to the longest for the transfer; back, the sum over processes of this one's part."""

    @staticmethod
    def forward(ctx: Any, own: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        rank, _ = world()
        ctx.start, ctx.end = sum(sizes[:rank]), sum(sizes[: rank + 1])
        filled = own.new_zeros(max(sizes), *own.shape[1:])
        filled[: len(own)] = own
        shares = [torch.empty_like(filled) for _ in sizes]
        dist.all_gather(shares, filled)
        return torch.cat([share[:size] for share, size in zip(shares, sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.contiguous()
        dist.all_reduce(total)
        return total[ctx.start : ctx.end], None
