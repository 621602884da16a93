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
    states: States | None, predictions: Sequence[torch.Tensor], rows: Rows, plan: Plan
) -> list[torch.Tensor]:
    """A prediction for each of the pipeline's rows; a negative one that was not run has that of its prompt.

    Args:
        states: what the prompts say.
        predictions: of each job.
        rows: the pipeline's.
        plan: which jobs are for which row.
    """
    found: dict[int, torch.Tensor] = {}
    for row in rows.positive:
        parts = [predictions[job] for job in plan.parts[row]]
        negative = predictions[plan.negatives[row]] if plan.negatives[row] >= 0 else None
        if states is None or not rows.marks:
            found[row] = parts[0]
        else:
            found[row] = _prediction(states.scripts[POSITIVE][rows.prompt(row)], parts, negative)
    for row, partner in rows.partners:
        found[row] = predictions[plan.parts[row][0]] if plan.parts[row] else found[partner]
    return [found[row] for row in range(len(rows.who))]


def guided(
    found: Sequence[torch.Tensor], rows: Rows, wanted: float, own: float
) -> list[torch.Tensor]:
    """The same, with negative predictions that make a pipeline which guides with its `own` scale guide with `wanted`."""
    changed = list(found)
    if not rows.is_negative:
        for row, partner in rows.partners:
            changed[row] = towards(found[partner], found[row], wanted, own)
    return changed


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
