"""Contrastive losses, exact over all processes, in memory that does not grow with the square of the batch.

Each process has a share of the batch and computes its own rows of the N x N similarities against all columns. What comes
back is its share of the mean over N, times the number of processes: DDP and FSDP average gradients over processes, so what
they arrive at is the gradient of one process with the whole batch, for towers, logit scale and bias alike, whatever the
shares are. (open_clip's default loss has tower gradients of 1 / processes of that, and a logit scale's of all.)

Two rows with the same picture, or with the same caption, are both right for each other. That pair is neither drawn together,
as it has a row of its own for that, nor pushed apart: it is left out.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch.utils.checkpoint import checkpoint

from clipcond.clip.training.distributed import counts, gather, world
from clipcond.clip.training.towers import Compared, Towers
from clipcond.errors import ClipcondError

ROWS = 1024  # of similarities that are there at once
_LARGEST_SCALE = math.log(100)  # Radford et al. 2021, section 2.5

Numbers = Int64[torch.Tensor, " n"]
# (own rows, all columns, which of the process's rows they are) -> the sum over the rows
_Block = Callable[[torch.Tensor, torch.Tensor, slice], torch.Tensor]


def infonce(
    compared: Compared, pictures: Numbers, captions: Numbers, *, rows: int = ROWS
) -> Float[torch.Tensor, ""]:
    """Symmetric cross-entropy over scale x cosines (Radford et al. 2021, figure 3).

    The mean over the batch of half of -log softmax over texts and half of -log softmax over pictures.

    Args:
        compared: this process's share.
        pictures: numbers of its pictures; equal ones are the same picture.
        captions: numbers of its captions.
        rows: similarities of so many rows are there at once; the rest is computed again in the backward.
    """
    # in one transfer: two would come back in an order that each process chooses
    every = gather(torch.cat([compared.image, compared.text], dim=1))
    every_image, every_text = every.tensor_split(2, dim=1)
    pairs = _Pairs(pictures, captions)

    def block(own: torch.Tensor, every: torch.Tensor, part: slice) -> torch.Tensor:
        at, out = pairs.at[part], pairs.left_out(part)
        logits = (compared.scale * own @ every.T).masked_fill(out, -math.inf)
        return F.cross_entropy(logits, at, reduction="sum")

    texts = pairs.summed(block, compared.image, every_text, rows)
    images = pairs.summed(block, compared.text, every_image, rows)
    return pairs.share((texts + images) / 2, compared)


def sigmoid(
    compared: Compared, pictures: Numbers, captions: Numbers, *, rows: int = ROWS
) -> Float[torch.Tensor, ""]:
    """Each pair by itself: -log sigmoid of +-(scale x cosine + bias) (Zhai et al. 2023, SigLIP, algorithm 1).

    The sum over the texts, as a mean over the pictures of the batch.

    Args:
        compared: this process's share; it has a bias.
        pictures: numbers of its pictures; equal ones are the same picture.
        captions: numbers of its captions.
        rows: similarities of so many rows are there at once; the rest is computed again in the backward.
    """
    every_text = gather(compared.text)
    pairs, bias = _Pairs(pictures, captions), compared.bias
    if bias is None:
        raise ClipcondError("the sigmoid loss needs a logit bias: Towers(clip, bias=-10.0)")

    def block(own: torch.Tensor, every: torch.Tensor, part: slice) -> torch.Tensor:
        at, out = pairs.at[part], pairs.left_out(part)
        logits = compared.scale * own @ every.T + bias
        sign = -torch.ones_like(logits)
        sign[torch.arange(len(at), device=at.device), at] = 1
        return -F.logsigmoid(sign * logits).masked_fill(out, 0).sum()

    return pairs.share(pairs.summed(block, compared.image, every_text, rows), compared)


LOSSES: dict[str, Callable[[Compared, Numbers, Numbers], torch.Tensor]] = {
    "infonce": infonce,
    "sigmoid": sigmoid,
}


def clamp_scale(towers: Towers) -> None:
    """Keep logits a cosine between 1 and 100, after the optimiser's step (Radford et al. 2021, section 2.5)."""
    towers.model.logit_scale.data.clamp_(0, _LARGEST_SCALE)


class _Pairs:
    """Which rows of all processes are one process's own, and which pairs are right."""

    def __init__(self, pictures: torch.Tensor, captions: torch.Tensor) -> None:
        rank, self.processes = world()
        self.own = torch.stack([pictures, captions])
        sizes = counts(len(pictures), pictures.device)
        self.every = gather(self.own.T).T
        self.at = sum(sizes[:rank]) + torch.arange(len(pictures), device=pictures.device)

    def summed(
        self, block: _Block, own: torch.Tensor, every: torch.Tensor, rows: int
    ) -> torch.Tensor:
        """The sum over this process's rows, some at a time."""
        total = (
            every.sum() * 0
        )  # also of no row, or the others would wait for this process in the backward
        once = len(own) <= rows
        for start in range(0, len(own), rows):
            part = slice(start, start + rows)
            inputs = (own[part], every, part)
            total = total + (
                block(*inputs) if once else checkpoint(block, *inputs, use_reentrant=False)
            )
        return total

    def share(self, total: torch.Tensor, compared: Compared) -> torch.Tensor:
        """Of the mean over the whole batch, times the processes; DDP waits for a gradient of everything, if of zeros."""
        unused = compared.image.sum() + compared.text.sum() + compared.scale
        if compared.bias is not None:
            unused = unused + compared.bias
        return total * self.processes / max(self.every.shape[1], 1) + 0 * unused

    def left_out(self, part: slice) -> Bool[torch.Tensor, "rows n"]:
        """Pairs of some rows with columns other than their own that are right as well."""
        alike = (self.own[:, part, None] == self.every[:, None]).any(dim=0)
        alike[torch.arange(len(alike), device=alike.device), self.at[part]] = False
        return alike
