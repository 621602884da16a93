"""WiSE-FT: weights between those before and after a fine-tuning (Wortsman et al. 2022).

A fine-tuned CLIP knows the new pictures and has forgotten some of the old; on the line between the two, many points know both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from clipcond.errors import ClipcondError
from clipcond.files import State, some

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated(Generic[Result]):
    """What weights at one point of the line came to; `alpha` is 0 before the fine-tuning and 1 after it."""

    alpha: float
    result: Result


def wise_ft(before: State, after: State, alpha: int | float) -> State:
    """(1 - alpha) x before + alpha x after, tensor by tensor; to the last bit `before` at 0 and `after` at 1.

    Whole numbers (how often a batch norm was updated) are those of `after`, except at 0.

    Args:
        before: by name.
        after: the same names, shapes, dtypes and devices.
        alpha: between 0 and 1.

    Raises:
        ClipcondError: an alpha out of range, or states of two kinds of model.
    """
    if not 0 <= alpha <= 1:
        raise ClipcondError(f"alpha: got {alpha!r}; it is between 0 (before) and 1 (after)")
    if strange := sorted(before.keys() ^ after.keys()):
        raise ClipcondError(
            f"wise_ft: {some(strange)} is in one of the states alone; both are of one model, without adapters"
        )
    return {name: _between(tensor, after[name], float(alpha)) for name, tensor in before.items()}


def sweep(
    module: nn.Module,
    before: State,
    after: State,
    *,
    alphas: Sequence[int | float],
    evaluate: Callable[[], Result],
) -> tuple[Interpolated[Result], ...]:
    """What `evaluate` says of the module with the weights of each alpha; at the end it has those of `after`.

    Args:
        module: that the states are of (a CLIP's model, or `Towers`), and that `evaluate` reads.
        before: its state before the fine-tuning.
        after: its state after it.
        alphas: between 0 and 1.
        evaluate: called with the weights in place.

    Raises:
        ClipcondError: what `wise_ft` raises.
    """
    # the module's own tensors are written to between
    after = {name: tensor.detach().clone() for name, tensor in after.items()}
    rows = []
    try:
        for alpha in alphas:
            module.load_state_dict(wise_ft(before, after, alpha))
            rows.append(Interpolated(alpha=float(alpha), result=evaluate()))
    finally:
        module.load_state_dict(after)
    return tuple(rows)


def _between(before: torch.Tensor, after: torch.Tensor, alpha: float) -> torch.Tensor:
    if not before.is_floating_point():
        return before if alpha == 0 else after
    return torch.lerp(before, after, alpha)
