"""A call of a ControlNet, which reads the prompts as well: a row for each of the denoiser's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from clipcond.hooks.denoising import planned, put
from clipcond.hooks.layout import rows_of
from clipcond.hooks.regional import in_places
from clipcond.hooks.rows import Call, outputs, parted
from clipcond.hooks.run import Look, Run


def control(run: Run, module: nn.Module, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """One call of a ControlNet.

    The pipeline is given as many rows as it asked for, and hands them on to the denoiser; there `put` finds what each of
    its own rows has instead.
    """
    call = Call(args, kwargs)
    moment = run.clock.moment(call.timestep)
    rows = rows_of(run, call, moment)
    if not rows.marks:
        return own(*args, **kwargs)
    plan = planned(run, rows, moment, unguided=False)
    changed = put(run, call, rows, plan)
    run.controls.clear()

    def change(tensor: torch.Tensor) -> torch.Tensor:
        parts = parted(tensor.contiguous(), len(plan.jobs)).unbind(0)
        given = torch.cat([parts[jobs[0]] for jobs in plan.parts])
        run.controls[id(given)] = (given, dict(zip(plan.jobs, parts, strict=True)))
        return given

    with in_places(Look(run, module, plan.jobs, moment, call.sample)):
        output = own(*changed.args, **changed.kwargs)
    return output if plan.is_own else outputs(output, change)
