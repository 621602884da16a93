"""What a weighting mode asks of an encoder, and how the answers are combined: one function for all modes."""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float

from clipcond.errors import WeightingWarning
from clipcond.tokens import Ids

_NEARLY_ZERO = 1e-4  # a mean below this share of the mean size: a1111's factor is noise


class Row(NamedTuple):
    """One row of an encoder's batch.

    Attributes:
        ids: one per position.
        attention: how much each position is attended to, 1 being as usual and 0 not at all; () for all 1.
        before: ids that the encoder reads in front of the row, or behind its first few, and whose states are dropped.
    """

    ids: Ids
    attention: tuple[float, ...] = ()
    before: Ids = ()


@dataclass(frozen=True, slots=True)
class Mixture:
    """One window as a mixture of rows.

    Attributes:
        rows: the first is the window itself.
        coefficients: [rows, positions]; 1, 0, 0... where a position stays as it is.
        restore_mean: scale all by one factor so that the mean is that of the first row.
    """

    rows: tuple[Row, ...]
    coefficients: tuple[tuple[float, ...], ...]
    restore_mean: bool = False


def mix(
    states: Float[torch.Tensor, "rows tokens dim"], mixture: Mixture
) -> Float[torch.Tensor, "tokens dim"]:
    """The states of a mixture's rows to one state a position, computed in float32 at least.

    Positions whose coefficients are 1, 0, 0... come out bit for bit as they went in.

    Warns:
        WeightingWarning: `restore_mean` would divide by a mean near zero; the mean is left as it is.
    """
    if all(c == 1 for row in mixture.coefficients for c in row):
        return states[0]
    wide = torch.promote_types(states.dtype, torch.float32)
    coefficients = torch.tensor(mixture.coefficients, dtype=wide, device=states.device)
    out = (coefficients[..., None] * states.to(wide)).sum(0)
    if mixture.restore_mean:
        mean = out.mean()
        if mean.abs() <= _NEARLY_ZERO * out.abs().mean():
            warnings.warn(
                "a1111: the weighted states have a mean near zero, which cannot be scaled to the old one; "
                "kept as a1111_no_norm has them",
                WeightingWarning,
                stacklevel=2,
            )
        else:
            out = out * (states[0].to(wide).mean() / mean)
    return out.to(states.dtype)
