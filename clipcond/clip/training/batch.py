"""What a step of training reads."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

import torch
from jaxtyping import Float, Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pairs of a picture and a caption, ready for the towers; one process's share of a step.

    Attributes:
        pixels: prepared pictures.
        tokens: ids of the captions, filled up to one length.
        ends: where each caption's features are taken (`clipcond.clip.towers.pooled_at`).
        pictures: a number that two rows share if they show the same picture.
        captions: a number that two rows share if they have the same caption.
        target: what an auxiliary objective must name, a row a pair; None where there is none.
    """

    pixels: Float[torch.Tensor, "n 3 height width"]
    tokens: Int64[torch.Tensor, "n length"]
    ends: Int64[torch.Tensor, " n"]
    pictures: Int64[torch.Tensor, " n"]
    captions: Int64[torch.Tensor, " n"]
    target: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return self._each(lambda column: column.to(device, non_blocking=True))

    def parts(self, count: int) -> list["Batch"]:
        """So many consecutive batches, as equal as can be; some are empty, where there are fewer rows."""
        ends = [len(self) * i // count for i in range(count + 1)]
        return [self._each(itemgetter(slice(*between))) for between in itertools.pairwise(ends)]

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        return Batch(
            pixels=change(self.pixels),
            tokens=change(self.tokens),
            ends=change(self.ends),
            pictures=change(self.pictures),
            captions=change(self.captions),
            target=None if self.target is None else change(self.target),
        )
