"""Batch norm over all processes, so that a ResNet's gradients do not depend on how many there are.

torch's SyncBatchNorm does this on GPUs; this one also on CPUs, in float64, and for shares that differ or are empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import nn
from torch.autograd.function import once_differentiable

from clipcond.clip.training.distributed import world

Maps = Float[torch.Tensor, "n channels h w"]


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose statistics in training are of the pictures of all processes.

    Attributes:
        counting: whether a forward in training goes into the running statistics.
    """

    counting = True

    def forward(self, x: Maps) -> Maps:
        """Normalised maps; the bias itself where a channel has one value, and nothing to learn from none."""
        if not self.training:
            return super().forward(x)
        if world()[1] == 1 and x.numel() > x.shape[1]:
            if self.counting:
                return super().forward(x)
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        axes, whole = (0, 2, 3), x.to(self.weight.dtype)  # sums of bfloat16 would be too coarse
        count = _total(whole.new_tensor(float(x.numel() // x.shape[1])))
        mean = _total(whole.sum(axes)) / count.clamp(min=1)
        centred = whole - mean[:, None, None]
        variance = _total(centred.square().sum(axes)) / count.clamp(min=1)
        if self.counting:
            unbiased = variance.detach() * count / (count - 1).clamp(min=1)
            self._count(mean.detach(), unbiased, count > 0)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _count(self, mean: torch.Tensor, variance: torch.Tensor, some: torch.Tensor) -> None:
        """Into the running statistics, if there was some picture; without asking a GPU whether there was."""
        running = (self.running_mean, self.running_var, self.num_batches_tracked)
        if running[0] is None or running[1] is None or running[2] is None:
            return
        running[2].add_(some)
        counted = running[2].clamp(min=1).to(mean.dtype)
        share = some.to(mean.dtype) * (1 / counted if self.momentum is None else self.momentum)
        for kept, new in ((running[0], mean), (running[1], variance)):
            kept.lerp_(new.to(kept.dtype), share.to(kept.dtype))


def synchronise(module: nn.Module) -> None:
    """Let every batch norm in a module be one over all processes, in place; names and values stay."""
    for part in module.modules():
        if type(part) is nn.BatchNorm2d:
            # the same attributes under another forward: nothing has to be copied
            part.__class__ = GlobalBatchNorm2d


@contextmanager
def counting_once(module: nn.Module) -> Iterator[None]:
    """Forwards that are done again with a graph: running statistics wait for those."""
    norms = [part for part in module.modules() if isinstance(part, GlobalBatchNorm2d)]
    for norm in norms:
        norm.counting = False
    try:
        yield
    finally:
        for norm in norms:
            norm.counting = True


def _total(own: torch.Tensor) -> torch.Tensor:
    """The sum over processes; its gradient is the sum of theirs."""
    if world()[1] == 1:
        return own
    total: torch.Tensor = _Total.apply(own)  # type: ignore[no-untyped-call]
    return total


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, own: torch.Tensor) -> torch.Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(_ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
