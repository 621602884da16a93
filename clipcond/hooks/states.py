"""A side's encoded states as the denoiser takes them, put in the place of marked rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from clipcond.errors import UnsupportedPipelineError
from clipcond.families.contract import Family
from clipcond.families.handover import Handing
from clipcond.families.inputs import NAMES, NEGATIVE, POSITIVE, Inputs, Sides
from clipcond.hooks.markers import Found, Who
from clipcond.hooks.program import Mixed, Scripts, first, read

_ONCE = ("Stable Audio", "LEDITS++")  # read once before the run, and as edits
_OWN = {name: own for own, name in NAMES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What the prompts of a pipeline's call say over its run.

    Attributes:
        scripts: for each prompt of each side.
        tensors: by side and field of `Inputs`, as a call of the pipeline takes them: every state's row.
        dims: along which dimension the rows of each field lie.
        beginnings: what each prompt begins with.
    """

    scripts: Scripts
    tensors: Mapping[tuple[str, str], torch.Tensor]
    dims: Mapping[str, int]
    beginnings: Sides[Inputs]

    @classmethod
    def of(cls, pipe: Any, family: Family, sides: Sides[Inputs], scripts: Scripts) -> "States":
        """As the pipeline would be handed them.

        Raises:
            UnsupportedPipelineError: its denoiser reads no text during a run.
            ClipcondError: states of lengths that one call cannot have.
        """
        if family.name in _ONCE:
            raise UnsupportedPipelineError(
                f"{type(pipe).__name__} hands its denoiser no text that could change during a run"
            )
        denoiser = getattr(pipe, family.denoiser)
        device, dtype = pipe._execution_device, denoiser.dtype  # noqa: SLF001 no public name
        tensors = {}
        for side, inputs in sides.items():
            # one side alone: the states of each are as many as its prompts say
            call = Handing(pipe=pipe, family=family.name, sides={POSITIVE: inputs}, negative_given=False, pictures=1)
            for name, tensor in family.hand_over(call).items():
                own = dtype if tensor.is_floating_point() else None
                tensors[side, _OWN[name]] = tensor.to(device, own)
        dims = {own: 1 if own == "embeds_2" and t.ndim == 4 and len(t) != len(sides[side].embeds) else 0
                for (side, own), t in tensors.items()}
        beginnings = {side: first(inputs, scripts[side]) for side, inputs in sides.items()}
        return cls(scripts, tensors, dims, beginnings)

    @property
    def widths(self) -> dict[str, int]:
        """Of each field that carries marks."""
        return {own: t.shape[-1] for (side, own), t in self.tensors.items() if side == POSITIVE}

    def at(self, who: Who, own: str, mixed: Mixed) -> torch.Tensor:
        """One row of a field."""
        return read(self.tensors[who.side, own], mixed, self.dims[own])
