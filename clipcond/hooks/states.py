"""Encoded states as a denoiser takes them, put in the place of marked rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from clipcond.errors import UnsupportedPipelineError
from clipcond.families.contract import Family
from clipcond.families.handover import Handed, Handing
from clipcond.families.inputs import NAMES, POSITIVE, Inputs, Sides
from clipcond.hooks.markers import Who
from clipcond.hooks.plan import Job
from clipcond.hooks.program import Mixed, Scripts, read
from clipcond.hooks.rows import MASKS, Call, parted

# Stable Audio's and LTX-2's texts are read before the run, LEDITS++'s are edits, the upscaler's are put behind the noise level
_ONCE = ("Stable Audio", "LEDITS++", "Stable Diffusion latent upscaler", "LTX-2")
_FIELDS = {name: own for own, name in NAMES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What the prompts of a pipeline's call say over its run.

    Attributes:
        scripts: for each prompt of each side.
        tensors: by side and field of `Inputs`: a row for each state, in the dtype and on the device of the denoiser.
        layers_first: whether the rows of the second sequence lie along its second dimension.
        regions: how other texts are said in places.
        listed: whether the pipeline is handed lists, of texts as long as they are.
        room: how many texts a row of the denoiser's call has room for, one behind the other: where one attention reads
            texts and picture alike, a prompt and all that is said in its places.
    """

    scripts: Scripts
    tensors: Mapping[tuple[str, str], torch.Tensor]
    layers_first: bool
    regions: Literal["attention", "noise"]
    listed: bool = False
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
                f"AND: {family.name} reads prompts without padding to one length, so that they cannot be composed with a negative prompt "
                "of another length"
            )
        device, dtype = pipe._execution_device, getattr(pipe, family.denoiser).dtype  # noqa: SLF001 no public name
        tensors: dict[tuple[str, str], torch.Tensor] = {}
        listed = False
        for side, inputs in sides.items():
            call = Handing(
                pipe=pipe,
                family=family.name,
                sides={POSITIVE: inputs},  # alone: it has as many states as its prompts say
                negative_given=False,
                pictures=1,
            )
            found, listed = _unlisted(call, family.hand_over(call))
            for name, tensor in found.items():
                own = dtype if tensor.is_floating_point() else None
                tensors[side, _FIELDS[name]] = tensor.to(device, own)
        second = sides[POSITIVE].embeds_2
        joint = family.regions == "attention" and family.denoiser != "unet"
        return cls(
            scripts,
            tensors,
            layers_first=second is not None and second.ndim == 4,
            regions=family.regions,
            listed=listed,
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

    def masked(self, call: Call, jobs: Sequence[Job]) -> Call:
        """A call whose masks are none, as pipelines leave out one that leaves out nothing, with those of its rows.

        What a prompt begins with may be longer than what it says later.
        """
        left_out = [name for name in MASKS if call.kwargs.get(name, call) is None]
        side = next((job.who.side for job in jobs if job.who), POSITIVE)
        masks = self.tensors.get((side, "mask"))
        if not left_out or masks is None or bool(masks.all()):
            return call
        rows = masks.new_ones(len(jobs), masks.shape[1])
        return Call(call.args, {**call.kwargs, left_out[0]: self.written(rows, "mask", 0, jobs)})

    def counted(self, counts: torch.Tensor, own: str, jobs: Sequence[Job]) -> torch.Tensor:
        """How many positions each of a call's rows is to look at."""
        written = counts.clone()
        for row, job in zip(parted(written, len(jobs)), jobs, strict=True):
            if job.who is not None and job.text is not None:
                row[...] = self.at(job.who, own, job.text).sum()
        return written

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
            if self.listed and own == "embeds":  # the rest is what nothing looks at
                state = state[: row.shape[-2]]
            row[(..., *(slice(size) for size in state.shape[-2:]))] = state.to(row)
        return written.movedim(0, dim)

    def _said(self, who: Who, own: str, text: Mixed, places: Sequence[Mixed]) -> torch.Tensor:
        """What a row reads of a field; of the first sequence, as much as there is room for."""
        if own != "embeds" or self.room == 1:
            return self.at(who, own, text)
        texts = [text, *places]
        texts += [text] * (self.room - len(texts))  # which nobody looks at
        return torch.cat([self.at(who, own, said) for said in texts])


def _unlisted(call: Handing, handed: Handed) -> tuple[Mapping[str, torch.Tensor], bool]:
    """What a pipeline would be handed, before it is put in lists; and whether it is.

    Raises:
        UnsupportedPipelineError: in lists of lists.
    """
    tensors = {name: each for name, each in handed.items() if isinstance(each, torch.Tensor)}
    if len(tensors) == len(handed):
        return tensors, False
    if any(isinstance(text, list) for texts in handed.values() for text in texts):
        raise UnsupportedPipelineError(
            f"{type(call.pipe).__name__} hands its denoiser texts in pieces, with pictures between them: no text that could "
            "change during a run"
        )
    return call.tensors(), True
