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
from clipcond.hooks.rows import COUNTS, MASKS, Call, has_rows, outputs, parted, taken, tensors
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
        """The scale that the pipeline guides with."""
        session, arguments = self.run.session, self.run.arguments
        scale = own_scale(session.pipe, arguments)
        if self.module is getattr(session.pipe, "transformer_2", None):
            scale = arguments.get("guidance_scale_2") or scale
        return scale + session.family.added_scale


def denoise(run: Run, module: nn.Module, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """One call of the denoiser.

    Args:
        run: of the pipeline.
        module: the denoiser.
        own: its own call.
        *args: of the call.
        **kwargs: of the call.
    """
    _check_kind(run)
    call = Call(args, kwargs)
    _check_fresh(run, call)
    moment = run.clock.moment(call.timestep)
    guidance = run.session.guidance
    asked = Asked(
        run=run,
        forward=own,
        module=module,
        call=call,
        rows=rows_of(run, call, moment),
        moment=moment,
        wanted=None if guidance is None else guidance.at(moment, run.session.family.added_scale),
    )
    _check_guided(run, asked.rows)
    kept, run.kept = run.kept, None
    if asked.rows.is_negative and kept is not None and kept.moment == moment:
        return _second(asked, kept)
    plan = planned(run, asked.rows, moment, unguided=asked.wanted == 1, joined=_in_two_calls(run))
    return _given(asked, _forward(asked, plan), plan)


def planned(run: Run, rows: Rows, moment: Moment, *, unguided: bool, joined: bool) -> Plan:
    """What is to be run for rows of a call."""
    states = run.session.attached
    return make_plan(
        rows.who,
        states.scripts if states is not None and rows.marks else None,
        moment,
        unguided=unguided,
        joined=joined,
        blended=states is not None and states.regions == "noise",
    )


def put(run: Run, call: Call, rows: Rows, plan: Plan) -> Call:
    """The call with the plan's rows: their texts, and everything else of the rows that they come from.

    Raises:
        UnsupportedPipelineError: it needs other rows of what a ControlNet gave, and the pipeline changed that.
    """
    states, count = run.session.attached, call.count
    sources = [job.source for job in plan.jobs]
    missing = set() if plan.is_own else set(run.controls)

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        controlled = run.controls.get(id(tensor))
        if controlled is not None:
            missing.discard(id(tensor))
            return controlled.of(plan.jobs, count)
        mark = rows.marks.get(id(tensor))
        dim = 0 if mark is None else mark.dim
        if dim or has_rows(name, tensor, count):
            if not plan.is_own:
                tensor = taken(tensor.movedim(dim, 0), sources, count).movedim(0, dim)
            if states is not None and mark is not None:
                return states.written(tensor, mark.field, dim, plan.jobs)
            if states is not None and rows.marks and name in MASKS:
                return states.written(tensor, MASKS[name], 0, plan.jobs)
            if states is not None and rows.marks and name in COUNTS:
                return states.counted(tensor, COUNTS[name], plan.jobs)
        return tensor

    changed = call.changed(change)
    if states is not None and rows.marks:
        changed = states.masked(changed, plan.jobs)
    if missing:
        raise UnsupportedPipelineError(
            f"{type(run.session.pipe).__name__} changes what its ControlNet gives before its denoiser reads it, as in guess "
            "mode, so that prompts cannot be composed: call it with guess_mode=False"
        )
    return changed


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
        run.kept = Kept(asked.moment, output, tuple(left), asked.call.others(rows.marks))
    return output


def _second(asked: Asked, kept: Kept) -> Any:
    """What the pipeline is given for the negative side, where the positive one had a call of its own before."""
    if asked.wanted == 1:
        return kept.output
    if kept.unconditional:
        _check_alike(asked, kept)
        left = iter(kept.unconditional)
        output = outputs(kept.output, lambda _: next(left))
    else:
        plan = planned(asked.run, asked.rows, asked.moment, unguided=False, joined=False)
        output = _forward(asked, plan)
    if asked.wanted is None:
        return output
    pairs = iter(tensors(kept.output))
    wanted, own = asked.wanted, asked.own
    return outputs(output, lambda u: towards(next(pairs), u, wanted, own))


def _check_alike(asked: Asked, kept: Kept) -> None:
    """Whether the negative side is asked for with the same as the prompts' but for the texts.

    Raises:
        UnsupportedPipelineError: it is not, so that what it predicts is not known when prompts are composed.
    """
    pairs = zip(kept.others, asked.call.others(asked.rows.marks), strict=True)
    if not all(one.shape == other.shape and torch.equal(one, other) for one, other in pairs):
        raise UnsupportedPipelineError(
            f"AND: {type(asked.run.session.pipe).__name__} hands its denoiser other pictures for the negative prompt than for "
            "the prompt, so that they cannot be composed"
        )


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


def _wants_guidance(run: Run) -> str:
    """What acts on both sides' predictions; "" for nothing."""
    if _is_composed(run):
        return "AND composes prompts"
    return "" if run.session.guidance is None else "guidance(...) acts"


def _check_kind(run: Run) -> None:
    """Whether the pipeline guides in a way that leaves a place for what acts on predictions.

    Raises:
        UnsupportedPipelineError: it does not.
    """
    pipe = run.session.pipe
    what = _wants_guidance(run) or ("regions act" if _is_placed(run) else "")
    if what and getattr(pipe, "do_perturbed_attention_guidance", False):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} guides by perturbed attention, whose rows belong together: {what} where pag_scale is 0"
        )
    own = ("do_spatio_temporal_guidance", "do_modality_isolation_guidance")
    if what and any(getattr(pipe, name, False) for name in own):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} guides by more than a negative prompt: {what} where stg_scale is 0 and modality_scale 1, "
            "and so for audio"
        )


def _check_fresh(run: Run, call: Call) -> None:
    """Whether the denoiser reads the texts that it is handed, and not what it kept of those of the first step.

    Raises:
        UnsupportedPipelineError: it does not.
    """
    pipe = run.session.pipe
    what = _wants_guidance(run) or ("what changes acts" if run.session.attached else "")
    if what and call.kwargs.get("kv_cache_mode") and run.arguments.get("use_kv_cache"):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} keeps what its denoiser read of the texts at the first step: {what} where "
            "use_kv_cache=False"
        )


def _check_guided(run: Run, rows: Rows) -> None:
    """Whether the pipeline guides, where something asks for it.

    Raises:
        ClipcondError: it does not.
    """
    pipe, what = run.session.pipe, _wants_guidance(run)
    if what and rows.is_positive and not _in_two_calls(run):
        raise ClipcondError(
            f"{what} against the negative prompt, and this call of {type(pipe).__name__} reads none: take a guidance scale "
            "(guidance_scale, or true_cfg_scale) above 1, on a model that is not distilled"
        )
