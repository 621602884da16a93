"""Encoded states as a denoiser takes them, put in the place of marked rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from clipcond.errors import UnsupportedPipelineError
from clipcond.families.contract import Family
from clipcond.families.handover import Handing
from clipcond.families.inputs import NAMES, POSITIVE, Inputs, Sides
from clipcond.hooks.markers import Who
from clipcond.hooks.plan import Job
from clipcond.hooks.program import Mixed, Scripts, read
from clipcond.hooks.rows import parted

# Stable Audio's texts are read before the run, LEDITS++'s are edits, the upscaler's are put behind the noise level
_ONCE = ("Stable Audio", "LEDITS++", "Stable Diffusion latent upscaler")
_FIELDS = {name: own for own, name in NAMES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What the prompts of a pipeline's call say over its run.

    Attributes:
        scripts: for each prompt of each side.
        tensors: by side and field of `Inputs`: a row for each state, in the dtype and on the device of the denoiser.
        layers_first: whether the rows of the second sequence lie along its second dimension.
        regions: how other texts are said in places.
        room: how many texts a row of the denoiser's call has room for, one behind the other: where one attention reads
            texts and picture alike, a prompt and all that is said in its places.
    """

    scripts: Scripts
    tensors: Mapping[tuple[str, str], torch.Tensor]
    layers_first: bool
    regions: Literal["attention", "noise"]
    room: int = 1

    @classmethod
    def of(cls, pipe: Any, family: Family, sides: Sides[Inputs], scripts: Scripts) -> "States":
        """As the pipeline would be handed them.

        Raises:
            UnsupportedPipelineError: its denoiser reads no text during a run, or composes none.
            ClipcondError: states of lengths that one call cannot have.
        """
        if family.name in _ONCE:
            raise UnsupportedPipelineError(
                f"{type(pipe).__name__} hands its denoiser no text that could change during a run"
            )
        lengths = {inputs.embeds.shape[1] for inputs in sides.values()}
        if len(lengths) > 1 and any(script.is_composed for script in scripts[POSITIVE]):
            raise UnsupportedPipelineError(
                f"AND: {family.name} reads prompts without padding, so that they cannot be composed with a negative prompt "
                "of another length"
            )
        device, dtype = pipe._execution_device, getattr(pipe, family.denoiser).dtype  # noqa: SLF001 no public name
        tensors = {}
        for side, inputs in sides.items():
            call = Handing(
                pipe=pipe,
                family=family.name,
                sides={POSITIVE: inputs},  # alone: it has as many states as its prompts say
                negative_given=False,
                pictures=1,
            )
            for name, tensor in _tensors(family, call).items():
                own = dtype if tensor.is_floating_point() else None
                tensors[side, _FIELDS[name]] = tensor.to(device, own)
        second = sides[POSITIVE].embeds_2
        joint = family.regions == "attention" and family.denoiser != "unet"
        return cls(
            scripts,
            tensors,
            layers_first=second is not None and second.ndim == 4,
            regions=family.regions,
            room=1 + max(len(script.places) for script in scripts[POSITIVE]) if joint else 1,
        )

    @property
    def length(self) -> int:
        """Positions of each text."""
        return self.tensors[POSITIVE, "embeds"].shape[1]

    def widened(self, inputs: Inputs) -> Inputs:
        """Inputs with room for all texts of a row."""
        return replace(inputs, embeds=inputs.embeds.repeat(1, self.room, 1))

    @property
    def widths(self) -> dict[str, int]:
        """The last dimension of each field."""
        return {own: t.shape[-1] for (side, own), t in self.tensors.items() if side == POSITIVE}

    def at(self, who: Who, own: str, text: Mixed) -> torch.Tensor:
        """One row of a field."""
        dim = 1 if own == "embeds_2" and self.layers_first else 0
        return read(self.tensors[who.side, own], text, dim)

    def written(
        self, tensor: torch.Tensor, own: str, dim: int, jobs: Sequence[Job]
    ) -> torch.Tensor:
        """A tensor of a denoiser's call with what each of its rows, along `dim`, is to read.

        A pipeline may have put more behind the text (a picture's positions behind a mask): that stays.
        """
        written = tensor.movedim(dim, 0).clone(memory_format=torch.contiguous_format)
        for row, job in zip(parted(written, len(jobs)), jobs, strict=True):
            if job.who is None or job.text is None or (job.who.side, own) not in self.tensors:
                continue
            state = self._said(job.who, own, job.text, job.places)
            row[(..., *(slice(size) for size in state.shape[-2:]))] = state.to(row)
        return written.movedim(0, dim)

    def _said(self, who: Who, own: str, text: Mixed, places: Sequence[Mixed]) -> torch.Tensor:
        """What a row reads of a field; of the first sequence, as much as there is room for."""
        if own != "embeds" or self.room == 1:
            return self.at(who, own, text)
        texts = [text, *places]
        texts += [text] * (self.room - len(texts))  # which nobody looks at
        return torch.cat([self.at(who, own, said) for said in texts])


def _tensors(family: Family, call: Handing) -> Mapping[str, torch.Tensor]:
    """What a pipeline would be handed, before it is put in lists."""
    handed = family.hand_over(call)
    found = {name: tensor for name, tensor in handed.items() if torch.is_tensor(tensor)}
    if len(found) == len(handed):
        return found
    if any(isinstance(text, list) for texts in handed.values() for text in texts):
        raise UnsupportedPipelineError(
            f"{type(call.pipe).__name__} hands its denoiser texts in pieces, with pictures between them: no text that could "
            "change during a run"
        )
    return call.tensors()
