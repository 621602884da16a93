"""What a pipeline's call makes of tensors that it is given, met before: a function for each family that is special."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional as F

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.inputs import NAMES, POSITIVE, Inputs, Sides

EMBEDS, MASK = NAMES["embeds"], NAMES["mask"]
Tensors = dict[str, torch.Tensor]
Handed = Mapping[str, torch.Tensor | list[Any]]  # lists of tensors, or of lists of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """A conditioning on its way into a pipeline's call.

    Attributes:
        pipe: a pipeline of the family.
        family: its name.
        sides: what its denoiser reads.
        negative_given: whether the caller asked for the negative side, or the pipeline's default stands.
        pictures: of each prompt.
    """

    pipe: Any
    family: str
    sides: Sides[Inputs]
    negative_given: bool
    pictures: int

    def each(self, change: Callable[[Inputs], Inputs]) -> "Handing":
        """The same with every side changed."""
        return replace(self, sides={side: change(inputs) for side, inputs in self.sides.items()})

    def tensors(self) -> Tensors:
        """By `Conditioning`'s names, each prompt's as often as it is drawn."""
        return {
            name: tensor.repeat_interleave(self.pictures, 0)
            for side, inputs in self.sides.items()
            for name, tensor in inputs.named(side)
        }


# most pipelines take what their denoisers read: `Handing.tensors`
HandOver = Callable[[Handing], Handed]


def one_picture(call: Handing) -> Tensors:
    """LEDITS++: prompts are edits of one picture, and several of them leave the negative one to the pipeline.

    Raises:
        UnsupportedPipelineError: several pictures, or what several edits cannot have.
    """
    count, length = call.sides[POSITIVE].embeds.shape[:2]
    longer = length > call.pipe.tokenizer.model_max_length
    if call.pictures > 1 or (count > 1 and (call.negative_given or longer)):
        raise UnsupportedPipelineError(
            f"{type(call.pipe).__name__} draws one picture with all its edits: condition without num_images_per_prompt, "
            "and several edits without a negative prompt and of one window each"
        )
    alone = {POSITIVE: call.sides[POSITIVE]}
    return (replace(call, sides=alone) if count > 1 else call).tensors()


def no_negative(call: Handing) -> Tensors:
    """CogView3+: the pipeline puts zeros in the place of negative embeddings that it is given.

    Raises:
        UnsupportedPipelineError: the caller asked for others.
    """
    if call.negative_given:
        raise UnsupportedPipelineError(
            f"{type(call.pipe).__name__} puts zeros in the place of negative embeddings; condition without a negative prompt"
        )
    return call.tensors()


def content_first(call: Handing) -> Tensors:
    """HunyuanVideo: the denoiser only counts the mask, so what it is to look at comes first."""

    def packed(inputs: Inputs) -> Inputs:
        order = (inputs.seen == 0).long().argsort(dim=1, stable=True)
        row = torch.arange(len(order), device=order.device)[:, None]
        return replace(inputs, embeds=inputs.embeds[row, order], mask=inputs.seen[row, order])

    return call.each(packed).tensors()


def unpadded(call: Handing) -> Tensors:
    """Kandinsky 6: the denoiser reads every position, and takes no mask.

    Raises:
        ClipcondError: prompts of several lengths.
    """
    for inputs in call.sides.values():
        if not inputs.seen.all():
            raise ClipcondError(
                f"{call.family} reads every position, so one call takes prompts of one length, and these have "
                f"{', '.join(map(str, inputs.seen.sum(1).tolist()))} tokens: condition and draw them one by one"
            )
    return call.each(lambda inputs: replace(inputs, mask=None)).tensors()


def unpadded_with_lengths(call: Handing) -> Tensors:
    """Kandinsky 5: the same, and instead of each mask its prompts' lengths, each added to those before."""
    masks = {name: t for name, t in call.tensors().items() if name.endswith("mask")}
    ends = {name: F.pad(t.sum(1).cumsum(0), (1, 0)).to(torch.int32) for name, t in masks.items()}
    return unpadded(call) | ends


def layers_first(call: Handing) -> Tensors:
    """HiDream: the layers of the second sequence before its prompts."""
    return {
        name: tensor.permute(2, 0, 1, 3) if name.endswith("embeds_2") else tensor
        for name, tensor in call.tensors().items()
    }


def each_alone(call: Handing) -> Handed:
    """Z-Image, Ernie-Image: a list of each prompt's states, as many as it has tokens; no mask.

    Z-Image Omni reads a prompt in several pieces, with a picture between each two: without pictures it is one piece.
    """
    found = call.tensors()
    in_pieces = "siglip" in call.pipe.components

    def rows(name: str) -> list[Any]:
        states, masks = found[name], found[name.replace(EMBEDS, MASK)]
        own = [row[mask.bool()] for row, mask in zip(states, masks, strict=True)]
        return [[row] for row in own] if in_pieces else own

    return {name: rows(name) for name in found if name.endswith(EMBEDS)}


def in_layers(call: Handing) -> Tensors:
    """Krea 2: the layers of each token's states apart."""
    layers = call.pipe.transformer.config.num_text_layers
    return {
        name: tensor.view(*tensor.shape[:2], layers, -1) if name.endswith(EMBEDS) else tensor
        for name, tensor in call.tensors().items()
    }


def bundles_first(call: Handing) -> Tensors:
    """Fibo 2: the bundles of layers, each one of its denoiser's inputs, before the tokens."""
    wide = call.pipe.transformer.config.cap_feat_dim
    return {
        name: tensor.view(*tensor.shape[:2], -1, wide).transpose(1, 2)
        if name.endswith(EMBEDS)
        else tensor
        for name, tensor in call.tensors().items()
    }


def in_lists(handed: torch.Tensor | list[Any], change: Callable[[torch.Tensor], Any]) -> Any:
    """A tensor changed, or each of a list's."""
    if isinstance(handed, list):
        return [in_lists(each, change) for each in handed]
    return change(handed)


def of_one_length(call: Handing) -> Tensors:
    """CogView4: its pipeline with a control picture takes sides of one length only, though it reads them one by one.

    Raises:
        UnsupportedPipelineError: they have others.
    """
    lengths = [inputs.embeds.shape[1] for inputs in call.sides.values()]
    controlled = "control_image" in inspect.signature(type(call.pipe).__call__).parameters
    if controlled and len(set(lengths)) > 1:
        raise UnsupportedPipelineError(
            f"{type(call.pipe).__name__} takes a prompt and a negative prompt of one length only, and these take "
            f"{' and '.join(map(str, lengths))} positions, 16 tokens a step: bring the shorter one to as many"
        )
    return call.tensors()


class HeldTensor(torch.Tensor):
    """A tensor that `.to` moves but does not cast; whatever else is computed of it is a plain tensor.

    Most pipelines cast what they are given to their text encoder's dtype, and make their noise in it. Where the denoiser
    has another, which is what diffusers loads where the encoders' folders name a dtype and the call does not, they then
    crash, with strings as with tensors.
    """

    # as torch.nn.Parameter has it: results of operations are plain tensors
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment] # noqa: SLF001 its stub knows no function's parameters; no public name

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As a tensor's `to`, in the dtype that this one has."""
        device = torch.empty(0, device=self.device).to(*args, **kwargs).device
        return super().to(device).as_subclass(HeldTensor)

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        return self.clone().as_subclass(HeldTensor)


def held(
    tensor: torch.Tensor, dtype: torch.dtype, encoders: Iterable[torch.nn.Module | None]
) -> torch.Tensor:
    """The tensor, to stay in its dtype where a text encoder of the pipeline has another than the denoiser."""
    alike = all(encoder is None or encoder.dtype == dtype for encoder in encoders)
    return tensor if alike or not tensor.is_floating_point() else tensor.as_subclass(HeldTensor)
