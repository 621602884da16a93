"""AND and its kin: the predictions of one picture's several prompts, composed to one in noise space.

A pipeline makes u + s (c - u) of an unconditional prediction u, a conditional one c and a guidance scale s. Here c is
made such that this is u + s delta. With d_i = e_i - u for the prediction e_i of a prompt of weight w_i,

    delta = D + sum of what each of the other operators adds
    D         AND       sum w_i d_i                                    (Liu et al. 2022, composable diffusion)
    AND_PERP  w (d - D <D, d> / <D, D>)                                (Armandpour et al. 2023, Perp-Neg)
    AND_SALT  w (d - D) where softmax |d| is above softmax |D| and that of every other AND_SALT   (Zhao et al. 2023,
              MagicFusion; a softmax over the whole picture, compared number by number)
    AND_TOPK  w d at the largest 5 % of |d|                            (Brack et al. 2023, semantic guidance)

AND as AUTOMATIC1111's web UI has it, the others as its extension sd-webui-neutral-prompt by ljleb. Those two compose
denoised pictures, which differ from u and e_i by the same shift and scale. That matters to AND_SALT only: its softmax is
sharper in what has a larger scale.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from jaxtyping import Float

from clipcond.errors import ClipcondError

_KEPT = 0.05  # of a picture's numbers, by AND_TOPK

Weighted = tuple[float, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One prompt's part in a picture.

    Attributes:
        operator: "AND", "AND_PERP", "AND_SALT" or "AND_TOPK".
        weight: any finite number; what is below 0 is pushed away from.
        prediction: what the denoiser predicts for the prompt.

    Raises:
        ClipcondError: another operator, or a weight that is not finite.
    """

    operator: str
    weight: float
    prediction: Float[torch.Tensor, "*shape"]

    def __post_init__(self) -> None:
        operators = ("AND", *_ADDED)
        if self.operator not in operators:
            raise ClipcondError(
                f"operator: got {self.operator!r}; take one of {', '.join(operators)}"
            )
        if not math.isfinite(self.weight):
            raise ClipcondError(f"weight of {self.operator}: got {self.weight}; give a number")


def compose(
    unconditional: Float[torch.Tensor, "*shape"], terms: Sequence[Term]
) -> Float[torch.Tensor, "*shape"]:
    """What to hand a pipeline as the conditional prediction of one picture: u + delta, by the formulas above.

    AND is computed as sum w_i e_i + (1 - sum w_i) u without the terms whose factor is 0, so that weights which sum to 1
    give the mixture of the predictions and nothing else: those of one prompt with weight 1, bit for bit.

    Without an AND, D is 0, and a vector's part perpendicular to it is the vector: AND_PERP adds w d.

    Args:
        unconditional: u, one picture without its batch axis.
        terms: of the same shape and dtype, in any order.

    Returns:
        Computed in float32 at least, in the dtype that came.
    """
    wide = torch.promote_types(unconditional.dtype, torch.float32)
    start = unconditional.to(wide)
    predictions = _of("AND", terms, wide)
    composed = _mixed(start, predictions)
    main = _total([(weight, e - start) for weight, e in predictions], start)
    for operator, added in _ADDED.items():
        deltas = [(weight, e - start) for weight, e in _of(operator, terms, wide)]
        if deltas:
            composed = composed + added(main, deltas)
    return composed.to(unconditional.dtype)


def _of(operator: str, terms: Sequence[Term], wide: torch.dtype) -> list[Weighted]:
    return [(term.weight, term.prediction.to(wide)) for term in terms if term.operator == operator]


def _mixed(start: torch.Tensor, predictions: Sequence[Weighted]) -> torch.Tensor:
    rest = 1 - math.fsum(weight for weight, _ in predictions)
    return reduce(add, [w * x for w, x in [*predictions, (rest, start)] if w])


def _total(deltas: Sequence[Weighted], like: torch.Tensor) -> torch.Tensor:
    return sum((weight * delta for weight, delta in deltas), torch.zeros_like(like))


def _perpendicular(main: torch.Tensor, deltas: Sequence[Weighted]) -> torch.Tensor:
    size = main.abs().amax()
    unit = main / torch.where(size > 0, size, 1)  # else the square of a small one would be 0
    square = (unit * unit).sum().clamp(min=1)  # below 1 only where it is 0
    return _total(
        [(w, delta - unit * ((unit * delta).sum() / square)) for w, delta in deltas], main
    )


def _salient(main: torch.Tensor, deltas: Sequence[Weighted]) -> torch.Tensor:
    """Of equals the first wins, and D is before all: as in the original also before one of weight 0."""
    # the logarithm has the same order, and does not vanish where the softmax does
    salience = [x.abs().flatten().log_softmax(0) for x in (main, *(delta for _, delta in deltas))]
    winner = torch.stack(salience).argmax(0).view_as(main)
    won = [(w, (delta - main) * (winner == i)) for i, (w, delta) in enumerate(deltas, start=1)]
    return _total(won, main)


def _strongest(main: torch.Tensor, deltas: Sequence[Weighted]) -> torch.Tensor:
    """All of those equal to the smallest that is kept are kept, as in the original."""
    rank = max(1, int(main.numel() * (1 - _KEPT)))
    kept = [
        (w, delta * (delta.abs() >= delta.abs().flatten().kthvalue(rank).values))
        for w, delta in deltas
    ]
    return _total(kept, main)


# what each operator adds to delta, of D and of its own terms
_ADDED: dict[str, Callable[[torch.Tensor, Sequence[Weighted]], torch.Tensor]] = {
    "AND_PERP": _perpendicular,
    "AND_SALT": _salient,
    "AND_TOPK": _strongest,
}
