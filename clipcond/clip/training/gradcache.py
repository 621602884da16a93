"""Large batches in little memory: the gradient of the whole batch from forwards of a part at a time.

GradCache (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"): features of all parts
without a graph, the loss and its gradient to them, then each part's forward again with a graph and that gradient. The second
forward has the random numbers of the first, so dropout drops the same.

Equal to the whole batch in one graph wherever a picture's features do not depend on the others, as in every ViT and in a
ResNet whose batch norms are in eval mode. A batch norm that is trained takes its statistics of a part at a time (of all
processes), as those of most large trainings do; the result then is that of the same parts in one graph.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import get_device_states, set_device_states

from clipcond.clip.training.batch import Batch
from clipcond.clip.training.distributed import counts
from clipcond.clip.training.norms import counting_once
from clipcond.clip.training.towers import Compared

Loss = Callable[[Compared, torch.Tensor, torch.Tensor], torch.Tensor]
Extra = Callable[[Compared, torch.Tensor | None], torch.Tensor]


def backward(
    towers: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    chunk: int | None,
    extra: Extra | None = None,
    backward: Callable[[torch.Tensor], Any] = torch.Tensor.backward,
    no_sync: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> torch.Tensor:
    """Add the gradient of a loss to the parameters of the towers, and of `extra`.

    Args:
        towers: (pixels, tokens, ends) -> Compared; wrapped by DDP if there are several processes.
        batch: this process's share.
        loss: of `LOSSES`.
        chunk: rows a forward; None for all at once.
        extra: an objective added to the loss, of features and `batch.target`: the sum over rows, whose mean over those of
            all processes is added.
        backward: of a scalar.
        no_sync: the context in which DDP leaves gradients where they are; entered for all parts but the last.

    Returns:
        The loss, without `extra`, detached: this process's share times the processes.
    """
    parts = batch.parts(_forwards(batch, chunk))
    if len(parts) == 1:
        compared = towers(batch.pixels, batch.tokens, batch.ends)
        value = loss(compared, batch.pictures, batch.captions)
        backward(value + _beside(extra, compared, batch))
        return value.detach()
    states, found = [], []
    with torch.no_grad(), counting_once(towers):
        for part in parts:
            states.append(_Generators(part.pixels))
            found.append(towers(part.pixels, part.tokens, part.ends))
    cached = _leaves(found)
    value = loss(cached, batch.pictures, batch.captions)
    backward(value + _beside(extra, cached, batch))
    sizes = [len(part) for part in parts]
    images, texts = (torch.split(_gradient(t), sizes) for t in (cached.image, cached.text))
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        with states[i].again(), nullcontext() if last else no_sync():
            again = towers(part.pixels, part.tokens, part.ends)
            aligned = (again.image * images[i]).sum() + (again.text * texts[i]).sum()
            backward(aligned + _scalars(again, cached) if last else aligned)
    return value.detach()


def _beside(extra: Extra | None, compared: Compared, batch: Batch) -> torch.Tensor | float:
    """This process's share of an objective's mean, times the processes, as a loss has it."""
    if extra is None:
        return 0.0
    each = counts(len(batch), batch.tokens.device)
    return extra(compared, batch.target) * len(each) / max(sum(each), 1)


def _forwards(batch: Batch, chunk: int | None) -> int:
    """How many a batch takes: as many in every process, since batch norms wait for each other in each."""
    if chunk is None:
        return 1
    return max(1, -(-max(counts(len(batch), batch.tokens.device)) // chunk))


def _leaves(found: Sequence[Compared]) -> Compared:
    """All features, and the scalars, as beginnings of a graph."""
    scale, bias = found[-1].scale, found[-1].bias
    return Compared(
        torch.cat([each.image for each in found]).requires_grad_(),
        torch.cat([each.text for each in found]).requires_grad_(),
        scale.detach().clone().requires_grad_(),
        None if bias is None else bias.detach().clone().requires_grad_(),
    )


def _gradient(leaf: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _scalars(again: Compared, cached: Compared) -> torch.Tensor:
    """What has the gradient of scale and bias."""
    total = again.scale * _gradient(cached.scale)
    if again.bias is not None and cached.bias is not None:
        total = total + again.bias * _gradient(cached.bias)
    return total


class _Generators:
    """Where torch's random numbers are, on the CPU and on the device of a tensor."""

    def __init__(self, on: torch.Tensor) -> None:
        self._cpu = torch.get_rng_state()
        self._devices, self._states = get_device_states(on)
        self._kind = on.device.type

    @contextmanager
    def again(self) -> Iterator[None]:
        """From there once more; afterwards they are where they were."""
        kind = "cuda" if self._kind == "cpu" else self._kind
        with torch.random.fork_rng(devices=self._devices, device_type=kind):
            torch.set_rng_state(self._cpu)
            set_device_states(self._devices, self._states, device_type=self._kind)
            yield
