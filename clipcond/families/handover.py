"""What a pipeline's call makes of tensors that it is given, met before: order, repetition, layout and dtype."""

from typing import Any

import torch
from jaxtyping import Shaped
from torch.nn import functional as F

from clipcond.families.contract import Family

PACKED = {
    f"{side}{name}": f"{side}prompt_attention_mask"
    for side in ("", "negative_")
    for name in ("prompt_embeds", "prompt_attention_mask")
}


class HeldTensor(torch.Tensor):
    """A tensor that `.to` moves but does not cast; whatever else is computed of it is a plain tensor.

    Most pipelines cast what they are given to their text encoder's dtype, and make their noise in it. Where the denoiser
    has another, which is what diffusers loads where the encoders' folders name a dtype and the call does not, they then
    crash, with strings as with tensors.
    """

    # as torch.nn.Parameter has it: results of operations are plain tensors
    __torch_function__ = torch._C._disabled_torch_function_impl  # noqa: SLF001 no public name

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As a tensor's `to`, in the dtype that this one has."""
        device = torch.empty(0, device=self.device).to(*args, **kwargs).device
        return super().to(device).as_subclass(HeldTensor)

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        return self.clone().as_subclass(HeldTensor)


def held(tensor: torch.Tensor, pipe: Any, family: Family) -> torch.Tensor:
    """The tensor, to stay in its dtype where a text encoder of the pipeline has another than the denoiser."""
    encoders = [getattr(pipe, role.slot, None) for role in family.roles]
    dtypes = {encoder.dtype for encoder in encoders if encoder is not None}
    alike = dtypes <= {getattr(pipe, family.denoiser).dtype}
    return tensor if alike or not tensor.is_floating_point() else tensor.as_subclass(HeldTensor)


def content_first(
    tensor: Shaped[torch.Tensor, "batch tokens *dim"], mask: Shaped[torch.Tensor, "batch tokens"]
) -> Shaped[torch.Tensor, "batch tokens *dim"]:
    """The positions that the mask looks at before all others, in the order that they have."""
    order = (mask == 0).long().argsort(dim=1, stable=True)
    row = torch.arange(len(tensor), device=tensor.device)[:, None]
    return tensor[row, order]


def as_wanted(tensor: torch.Tensor, argument: str) -> torch.Tensor:
    """As an argument wants it: layers before prompts, and masks as lengths, each added to those before."""
    if argument.endswith("cu_seqlens"):
        return F.pad(tensor.sum(1).cumsum(0), (1, 0)).to(torch.int32)
    return tensor.permute(2, 0, 1, 3) if tensor.ndim == 4 else tensor
