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

from clipcond.clip.training.distributed import gather, world
from clipcond.clip.training.towers import Compared, Towers

ROWS = 1024  # of similarities that are there at once
_LARGEST_SCALE = math.log(100)  # Radford et al. 2021, section 2.5

Numbers = Int64[torch.Tensor, " n"]
# (own rows, all columns, where each row's own column is, what is left out) -> the sum over the rows
_Block = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


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
    shares = _Shares(compared, pictures, captions)

    def block(
        own: torch.Tensor, every: torch.Tensor, at: torch.Tensor, out: torch.Tensor
    ) -> torch.Tensor:
        logits = (compared.scale * own @ every.T).masked_fill(out, -math.inf)
        return F.cross_entropy(logits, at, reduction="sum")

    texts = shares.summed(block, compared.image, shares.text, rows)
    images = shares.summed(block, compared.text, shares.image, rows)
    return shares.share((texts + images) / 2)


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
    shares, bias = _Shares(compared, pictures, captions), compared.bias

    def block(
        own: torch.Tensor, every: torch.Tensor, at: torch.Tensor, out: torch.Tensor
    ) -> torch.Tensor:
        logits = compared.scale * own @ every.T + bias
        sign = -torch.ones_like(logits)
        sign[torch.arange(len(at), device=at.device), at] = 1
        return -F.logsigmoid(sign * logits).masked_fill(out, 0).sum()

    return shares.share(shares.summed(block, compared.image, shares.text, rows))


LOSSES: dict[str, Callable[[Compared, Numbers, Numbers], torch.Tensor]] = {
    "infonce": infonce,
    "sigmoid": sigmoid,
}


def clamp_scale(towers: Towers) -> None:
    """Keep logits a cosine between 1 and 100, after the optimiser's step (Radford et al. 2021, section 2.5)."""
    towers.model.logit_scale.data.clamp_(0, _LARGEST_SCALE)


class _Shares:
    """One process's part of a batch beside all of it."""

    def __init__(self, compared: Compared, pictures: torch.Tensor, captions: torch.Tensor) -> None:
        rank, self.processes = world()
        self.image, self.text = gather(compared.image), gather(compared.text)
        self.own = (pictures, captions)
        self.every = (gather(pictures), gather(captions))
        sizes = torch.tensor([len(pictures)], device=pictures.device)
        before = int(gather(sizes)[:rank].sum())
        self.at = before + torch.arange(len(pictures), device=pictures.device)
        # a loss of nothing has a gradient of zeros, which DDP waits for
        self.nothing = 0 * (compared.image.sum() + compared.text.sum() + compared.scale)
        if compared.bias is not None:
            self.nothing = self.nothing + 0 * compared.bias

    def summed(
        self, block: _Block, own: torch.Tensor, every: torch.Tensor, rows: int
    ) -> torch.Tensor:
        """The sum over this process's rows, some at a time."""
        total = self.nothing
        once = len(own) <= rows
        for start in range(0, len(own), rows):
            part = slice(start, start + rows)
            inputs = (own[part], every, self.at[part], self._left_out(part))
            total = total + (
                block(*inputs) if once else checkpoint(block, *inputs, use_reentrant=False)
            )
        return total

    def share(self, total: torch.Tensor) -> torch.Tensor:
        """Of the mean over the whole batch, times the processes."""
        return total * self.processes / max(len(self.every[0]), 1)

    def _left_out(self, part: slice) -> Bool[torch.Tensor, "rows n"]:
        """Pairs of some rows with columns other than their own that are right as well."""
        (pictures, captions), (all_pictures, all_captions) = self.own, self.every
        alike = (pictures[part, None] == all_pictures) | (captions[part, None] == all_captions)
        alike[torch.arange(len(alike), device=alike.device), self.at[part]] = False
        return alike
