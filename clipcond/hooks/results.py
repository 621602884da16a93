"""What a pipeline is given for its rows, from the predictions of the rows that were run."""

from collections.abc import Sequence

import torch

from clipcond.errors import UnsupportedPipelineError
from clipcond.families.inputs import POSITIVE
from clipcond.hooks.composition import Term, compose
from clipcond.hooks.guidance import towards
from clipcond.hooks.layout import Rows
from clipcond.hooks.plan import Plan
from clipcond.hooks.program import Script
from clipcond.hooks.region import shares
from clipcond.hooks.states import States


def results(
    states: States | None,
    predictions: Sequence[torch.Tensor],
    rows: Rows,
    plan: Plan,
    wanted: float | None,
    own: float,
) -> list[torch.Tensor]:
    """A prediction for each of the pipeline's rows.

    Args:
        states: what the prompts say.
        predictions: of each job.
        rows: the pipeline's.
        plan: which jobs are for which row.
        wanted: the guidance scale at this moment; None for the pipeline's own.
        own: that.
    """
    found: list[torch.Tensor | None] = [None] * len(rows.who)
    for row in rows.positive:
        parts = [predictions[job] for job in plan.parts[row]]
        negative = predictions[plan.negatives[row]] if plan.negatives[row] >= 0 else None
        script = None
        if states is not None and rows.marks:
            script = states.scripts[POSITIVE][rows.prompt(row)]
        found[row] = parts[0] if script is None else _prediction(script, parts, negative)
    for number, row in enumerate(rows.negative):
        partner = found[rows.positive[number % len(rows.positive)]] if rows.positive else None
        if not plan.parts[row]:
            found[row] = partner
            continue
        found[row] = predictions[plan.parts[row][0]]
        if wanted is not None and partner is not None:
            found[row] = towards(partner, found[row], wanted, own)
    return [result for result in found if result is not None]


def _prediction(
    script: Script, parts: Sequence[torch.Tensor], negative: torch.Tensor | None
) -> torch.Tensor:
    """What one prompt's parts and places predict together."""
    count = len(script.parts)
    base = parts[0]
    if script.is_composed and negative is not None:
        terms = [
            Term(part.operator, part.weight, prediction)
            for part, prediction in zip(script.parts, parts[:count], strict=True)
        ]
        base = compose(negative, terms)
    return blended(base, parts[count:], script) if len(parts) > count else base


def blended(base: torch.Tensor, others: Sequence[torch.Tensor], script: Script) -> torch.Tensor:
    """The base prompt's prediction and those of places, each by its share of every point.

    Raises:
        UnsupportedPipelineError: predictions are no pictures.
    """
    if base.ndim < 4:
        raise UnsupportedPipelineError(
            "regions: this denoiser predicts a sequence of patches, whose places are not known here"
        )
    height, width = base.shape[-2:]
    each = shares([place.region for place in script.places], height, width).to(base.device)
    terms = [
        (share, prediction)
        for share, prediction in zip(each, (base, *others), strict=True)
        if share.any()
    ]
    if len(terms) == 1:
        return terms[0][1]
    wide = torch.promote_types(base.dtype, torch.float32)
    total = sum(share.to(wide) * prediction.to(wide) for share, prediction in terms)
    return torch.as_tensor(total).to(base.dtype)
