"""Which windows of a prompt its pooled vector speaks of: pure functions of one signature, by name.

What follows is linear, a projection, so it does not matter that it comes after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float

from clipcond.errors import ClipcondError


class End(NamedTuple):
    """A window's end of text.

    Attributes:
        states: of the rows that the window is made of, its own first.
        shares: how much of each goes into the mixture there.
    """

    states: Float[torch.Tensor, "rows dim"]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Pooling:
    """A policy.

    Attributes:
        pool: the ends of a prompt's windows -> one state.
        windows: which of them it looks at.
    """

    pool: Callable[[Sequence[End]], torch.Tensor]
    windows: slice


def weighted_sum(parts: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Computed in float32 at least."""
    wide = torch.promote_types(parts[0].dtype, torch.float32)
    scaled = (weight * part.to(wide) for weight, part in zip(weights, parts, strict=True))
    return sum(scaled, start=parts[0].new_zeros((), dtype=wide)).to(parts[0].dtype)


def _first(ends: Sequence[End]) -> torch.Tensor:
    return ends[0].states[0]


def _last(ends: Sequence[End]) -> torch.Tensor:
    return ends[-1].states[0]


def _mean(ends: Sequence[End]) -> torch.Tensor:
    own = torch.stack([end.states[0] for end in ends])
    return own.float().mean(0).to(own.dtype)


def _weighted(ends: Sequence[End]) -> torch.Tensor:
    """The first window's, mixed as its end of text is: what masks or attends less acts, what scales words does not."""
    used = [
        (state, s) for state, s in zip(ends[0].states.unbind(), ends[0].shares, strict=True) if s
    ]
    if len(used) == 1 and used[0][1] == 1:
        return used[0][0]
    return weighted_sum([state for state, _ in used], [share for _, share in used])


POOLED = {
    "first": Pooling(_first, slice(0, 1)),
    "last": Pooling(_last, slice(-1, None)),
    "mean": Pooling(_mean, slice(None)),
    "weighted": Pooling(_weighted, slice(0, 1)),
}


def pooling_named(name: str) -> Pooling:
    """A policy by its name.

    Raises:
        ClipcondError: there is none of that name.
    """
    if name not in POOLED:
        raise ClipcondError(f"no pooled policy {name!r}; there are {', '.join(POOLED)}")
    return POOLED[name]
