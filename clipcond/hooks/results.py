"""What a pipeline is given for its rows, from the predictions of the rows that were run."""

from collections.abc import Sequence

import torch

from clipcond.families.inputs import POSITIVE
from clipcond.hooks.blending import blend
from clipcond.hooks.composition import Term, compose
from clipcond.hooks.guidance import towards
from clipcond.hooks.layout import Rows
from clipcond.hooks.picture import shares_of
from clipcond.hooks.plan import Plan
from clipcond.hooks.program import Script
from clipcond.hooks.run import Run


def results(
    run: Run, predictions: Sequence[torch.Tensor], rows: Rows, plan: Plan
) -> list[torch.Tensor]:
    """A prediction for each of the pipeline's rows; a negative one that was not run has that of its prompt.

    Args:
        run: of the pipeline.
        predictions: of each job.
        rows: the pipeline's.
        plan: which jobs are for which row.
    """
    states = run.session.attached
    found: dict[int, torch.Tensor] = {}
    for row in rows.positive:
        parts = [predictions[job] for job in plan.parts[row]]
        negative = predictions[plan.negatives[row]] if plan.negatives[row] >= 0 else None
        if states is None or not rows.marks:
            found[row] = parts[0]
        else:
            script = states.scripts[POSITIVE][rows.prompt(row)]
            count = len(script.parts)
            base = _composed(script, parts[:count], negative)
            found[row] = _blended(run, script, [base, *parts[count:]])
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


def _composed(
    script: Script, parts: Sequence[torch.Tensor], negative: torch.Tensor | None
) -> torch.Tensor:
    """What one prompt's parts predict together."""
    if not script.is_composed or negative is None:
        return parts[0]
    terms = [
        Term(part.operator, part.weight, prediction)
        for part, prediction in zip(script.parts, parts, strict=True)
    ]
    return compose(negative, terms)


def _blended(run: Run, script: Script, each: Sequence[torch.Tensor]) -> torch.Tensor:
    """The base prompt's prediction and those of places, each by its share of every point."""
    if len(each) == 1:
        return each[0]
    found = shares_of(run, [place.region for place in script.places], each[0])
    return blend([(share, said) for share, said in zip(found, each, strict=True) if share.any()])
