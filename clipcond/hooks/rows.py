"""The rows of a denoiser's call: taking some of everything that has one for each, and putting others in their place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch

from clipcond.hooks.markers import Found, find

# tensors that all rows share, whatever their first dimension is
SHARED = frozenset({
    "padding_mask", "txt_ids", "img_ids", "image_rotary_emb", "rotary_embedding", "text_rope_pos", "visual_rope_pos",
    "freqs_cis", "control_hidden_states_scale",
})  # fmt: skip
# tensors that may have several rows, one a frame, for each of the noisy pictures
REPEATED = frozenset({
    "encoder_hidden_states", "down_block_additional_residuals", "mid_block_additional_residual", "controlnet_cond"
})  # fmt: skip
# the masks that denoisers take -> the field of `Inputs` that they begin with
MASKS = {
    "encoder_attention_mask": "mask",
    "encoder_hidden_states_mask": "mask",
    "attention_mask": "mask",
    "text_embedding_mask": "mask",
    "encoder_attention_mask_2": "mask_2",
    "text_embedding_mask_t5": "mask_2",
}
# those that only count what a mask would look at
COUNTS = {"text_lens": "mask"}
_SAMPLES = ("sample", "hidden_states", "x", "latents")
_TIMESTEPS = ("timestep", "timesteps", "timestep_ratio", "t")
_KNOWN = 8  # texts of both sides, of the denoiser and a ControlNet
# tensors by their ids, and what was found in them
Known = dict[int, tuple[torch.Tensor, Found | None]]
# what is done to a tensor of a call, knowing the name of the argument that it is in
Change = Callable[[str, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Call:
    """What a denoiser is called with."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def sample(self) -> torch.Tensor:
        """The noisy pictures."""
        found: torch.Tensor = self._one(0, _SAMPLES)
        return found

    @property
    def timestep(self) -> torch.Tensor | float:
        """When it is called."""
        found: torch.Tensor | float = self._one(1, _TIMESTEPS)
        return found

    @property
    def count(self) -> int:
        """How many rows it has."""
        return len(self.sample)

    def _one(self, place: int, names: Sequence[str]) -> Any:
        if len(self.args) > place:
            return self.args[place]
        return next(self.kwargs[name] for name in names if name in self.kwargs)

    def changed(self, change: Change) -> "Call":
        """The same with every tensor changed."""
        args = tuple(_changed("", arg, change) for arg in self.args)
        return Call(args, {name: _changed(name, arg, change) for name, arg in self.kwargs.items()})

    def found(self, widths: Mapping[str, int], known: Known) -> dict[int, Found]:
        """The marked tensors, by their ids.

        Args:
            widths: of what may be marked.
            known: what was found in the last tensors of calls before: to read one waits for the device.
        """
        marks: dict[int, Found] = {}

        def look(_: str, tensor: torch.Tensor) -> torch.Tensor:
            if tensor.ndim < 2 or tensor.shape[-1] not in widths.values():
                return tensor
            before = known.pop(id(tensor), None)
            mark = before[1] if before and before[0] is tensor else find(tensor, widths)
            known[id(tensor)] = (tensor, mark)
            if mark is not None:
                marks[id(tensor)] = mark
            return tensor

        self.changed(look)
        for old in list(known)[:-_KNOWN]:
            del known[old]
        return marks

    def others(self, marks: Mapping[int, Found]) -> list[torch.Tensor]:
        """The tensors that have nothing to do with texts, of which those are marked."""
        found: list[torch.Tensor] = []

        def look(name: str, tensor: torch.Tensor) -> torch.Tensor:
            if id(tensor) not in marks and name not in MASKS and name not in SHARED:
                found.append(tensor)
            return tensor

        self.changed(look)
        return found


def _changed(name: str, value: Any, change: Change) -> Any:
    if isinstance(value, torch.Tensor):
        return change(name, value)
    if isinstance(value, list | tuple):
        return type(value)(_changed(name, part, change) for part in value)
    if isinstance(value, dict):
        return {key: _changed(str(key), part, change) for key, part in value.items()}
    return value


def parted(tensor: torch.Tensor, count: int) -> torch.Tensor:
    """A view of a tensor with one entry for each of so many rows, each as long as it is."""
    return tensor.view(count, -1, *tensor.shape[1:])


def taken(tensor: torch.Tensor, rows: Sequence[int], count: int) -> torch.Tensor:
    """Some of a tensor's rows, of which there are so many, each one or several (frames) long."""
    return parted(tensor.contiguous(), count)[list(rows)].flatten(0, 1)


def has_rows(name: str, tensor: torch.Tensor, count: int) -> bool:
    """Whether a tensor of a call of so many rows has something for each of them."""
    if tensor.ndim == 0 or name in SHARED:
        return False
    return len(tensor) == count or (name in REPEATED and len(tensor) % count == 0)


def outputs(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """What a denoiser gave, every tensor changed: a tensor, a tuple or list, or one of diffusers' outputs."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(outputs(part, change) for part in value)
    if type(value) is dict:
        return {key: outputs(part, change) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        found = {part.name: getattr(value, part.name) for part in fields(value)}
        return type(value)(**{name: outputs(part, change) for name, part in found.items()})
    return value


def tensors(value: Any) -> list[torch.Tensor]:
    """The tensors of what a denoiser gave, in the order in which `outputs` comes to them."""
    found: list[torch.Tensor] = []

    def take(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    outputs(value, take)
    return found
