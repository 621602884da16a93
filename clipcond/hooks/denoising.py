"""A call of the denoiser, as everything that acts inside the pipeline wants it: the one way through.

Whose rows are these, which rows are to be run, with which texts; and from what they gave, what the pipeline is given.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.inputs import POSITIVE
from clipcond.hooks.caches import emptied
from clipcond.hooks.clock import Moment
from clipcond.hooks.guidance import is_guided, own_scale, towards
from clipcond.hooks.layout import Rows, rows_of
from clipcond.hooks.plan import Plan, make_plan
from clipcond.hooks.regional import in_places
from clipcond.hooks.results import guided, results
from clipcond.hooks.rows import MASKS, Call, has_rows, outputs, parted, taken, tensors
from clipcond.hooks.run import Kept, Look, Run


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a pipeline asks its denoiser for.

    Attributes:
        run: of the pipeline.
        forward: the denoiser's own call.
        module: the denoiser.
        call: what it is called with.
        rows: whose its rows are.
        moment: when.
        wanted: the guidance scale at that moment; None for the pipeline's own.
    """

    run: Run
    forward: Callable[..., Any]
    module: nn.Module
    call: Call
    rows: Rows
    moment: Moment
    wanted: float | None

    @property
    def own(self) -> float:
        """The pipeline's guidance scale."""
        return own_scale(self.run.session.pipe, self.run.arguments)


def denoise(run: Run, module: nn.Module, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """One call of the denoiser.

    Args:
        run: of the pipeline.
        module: the denoiser.
        own: its own call.
        *args: of the call.
        **kwargs: of the call.
    """
    call = Call(args, kwargs)
    moment = run.clock.moment(call.timestep)
    guidance = run.session.guidance
    asked = Asked(
        run=run,
        forward=own,
        module=module,
        call=call,
        rows=rows_of(run, call, moment),
        moment=moment,
        wanted=None if guidance is None else guidance.at(moment),
    )
    _check(run, asked.rows)
    if asked.rows.is_negative and run.kept is not None and run.kept.moment == moment:
        return _second(asked, run.kept)
    plan = planned(run, asked.rows, moment, unguided=asked.wanted == 1)
    return _given(asked, _forward(asked, plan), plan)


def planned(run: Run, rows: Rows, moment: Moment, *, unguided: bool) -> Plan:
    """What is to be run for rows of a call."""
    states = run.session.attached
    return make_plan(
        rows.who,
        states.scripts if states is not None and rows.marks else None,
        moment,
        unguided=unguided,
        joined=_in_two_calls(run),
        blended=states is not None and states.regions == "noise",
    )


def put(run: Run, call: Call, rows: Rows, plan: Plan) -> Call:
    """The call with the plan's rows: their texts, and everything else of the rows that they come from."""
    states, count = run.session.attached, call.count
    sources = [job.source for job in plan.jobs]

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        controlled = run.controls.get(id(tensor))
        if controlled is not None:
            own = parted(taken(tensor, sources, count), len(sources))
            found = [controlled[1].get(job, row) for job, row in zip(plan.jobs, own, strict=True)]
            return torch.cat(found)
        mark = rows.marks.get(id(tensor))
        dim = 0 if mark is None else mark.dim
        if dim or has_rows(name, tensor, count):
            if not plan.is_own:
                tensor = taken(tensor.movedim(dim, 0), sources, count).movedim(0, dim)
            if states is not None and mark is not None:
                return states.written(tensor, mark.field, dim, plan.jobs)
            if states is not None and rows.marks and name in MASKS:
                return states.written(tensor, MASKS[name], 0, plan.jobs)
        return tensor

    return call.changed(change)


def _forward(asked: Asked, plan: Plan) -> Any:
    _forget(asked, plan)
    changed = put(asked.run, asked.call, asked.rows, plan)
    look = Look(asked.run, asked.module, plan.jobs, asked.moment, asked.call.sample)
    with ExitStack() as stack:
        stack.enter_context(in_places(look))
        for watcher in asked.run.session.watchers:
            stack.enter_context(watcher.during(look))
        return asked.forward(*changed.args, **changed.kwargs)


def _forget(asked: Asked, plan: Plan) -> None:
    """Empty the denoiser's caches where its rows or their texts are others than before."""
    ran = asked.run.ran.get(asked.rows.is_negative, plan.jobs)
    asked.run.ran[asked.rows.is_negative] = plan.jobs
    if ran != plan.jobs:
        emptied(asked.module)


def _given(asked: Asked, output: Any, plan: Plan) -> Any:
    """What the pipeline is given of what the plan's rows gave."""
    run, rows = asked.run, asked.rows
    left: list[torch.Tensor] = []  # unconditional, of a second call that need not be made

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if len(tensor) % len(plan.jobs):
            return tensor
        parts = parted(tensor.contiguous(), len(plan.jobs)).unbind(0)
        if rows.is_positive and all(negative >= 0 for negative in plan.negatives):
            left.append(torch.cat([parts[negative] for negative in plan.negatives]))
        given = results(run, parts, rows, plan)
        if asked.wanted is not None:
            given = guided(given, rows, asked.wanted, asked.own)
        return torch.cat(given)

    if not plan.is_own or asked.wanted is not None or _is_composed(run):
        output = outputs(output, change)
    if rows.is_positive and _in_two_calls(run):
        run.kept = Kept(asked.moment, output, tuple(left))
    return output


def _second(asked: Asked, kept: Kept) -> Any:
    """What the pipeline is given for the negative side, where the positive one had a call of its own before."""
    if asked.wanted == 1:
        return kept.output
    if kept.unconditional:
        left = iter(kept.unconditional)
        output = outputs(kept.output, lambda _: next(left))
    else:
        output = _forward(asked, planned(asked.run, asked.rows, asked.moment, unguided=False))
    if asked.wanted is None:
        return output
    pairs = iter(tensors(kept.output))
    wanted, own = asked.wanted, asked.own
    return outputs(output, lambda u: towards(next(pairs), u, wanted, own))


def _is_composed(run: Run) -> bool:
    """Whether a prompt's prediction is not that of one text."""
    states = run.session.attached
    return states is not None and any(script.is_composed for script in states.scripts[POSITIVE])


def _is_placed(run: Run) -> bool:
    """Whether a prompt's regions have rows of their own, or a mask for each row."""
    states = run.session.attached
    if states is None or (states.regions == "attention" and states.room == 1):
        return False
    return any(script.places for script in states.scripts[POSITIVE])


def _in_two_calls(run: Run) -> bool:
    """Whether the negative side will have a call of its own."""
    two = run.session.family.guidance == "two calls"
    return two and is_guided(run.session.pipe, run.arguments)


def _check(run: Run, rows: Rows) -> None:
    """Whether the pipeline guides, where something asks for it.

    Raises:
        ClipcondError: it does not.
        UnsupportedPipelineError: it guides in a way that leaves no place for predictions of other rows.
    """
    pipe, composed, placed = run.session.pipe, _is_composed(run), _is_placed(run)
    guides = composed or run.session.guidance is not None
    if not guides and not placed:
        return
    what = "guidance(...) acts" if guides else "regions act"
    what = "AND composes prompts" if composed else what
    if getattr(pipe, "do_perturbed_attention_guidance", False):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} guides by perturbed attention, whose rows belong together: {what} where pag_scale is 0"
        )
    if guides and rows.is_positive and not _in_two_calls(run):
        raise ClipcondError(
            f"{what} against the negative prompt, and this call of {type(pipe).__name__} reads none: take a guidance scale "
            "(guidance_scale, or true_cfg_scale) above 1, on a model that is not distilled"
        )
