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
        """Normalised maps."""
        alone = world()[1] == 1
        if not self.training or (alone and self.counting and len(x)):
            return super().forward(x)
        if alone and not len(x):
            return x
        if alone:
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        axes = (0, 2, 3)
        count = _total(x.new_tensor(float(x.numel() // x.shape[1])))
        mean = _total(x.sum(axes)) / count
        centred = x - mean[:, None, None]
        variance = _total(centred.square().sum(axes)) / count
        if self.counting:
            self._count(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]

    def _count(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


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
