"""What all adapted encoders share: where they run, how much one forward takes, how attention is weighted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedConfig

from clipcond.weighting import Row

_TENSORS = 4  # of the widest layer's size that are alive at once


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOutput:
    """What one forward gave.

    Attributes:
        states: one row each, in the encoder's dtype.
        ends: the last layer's state at each row's end of text; None where it means nothing (T5).
    """

    states: Float[torch.Tensor, "rows tokens dim"]
    ends: Float[torch.Tensor, "rows dim"] | None


def execution_device(module: nn.Module) -> torch.device:
    """Where a forward takes its inputs: with accelerate's offloading, not where the weights are."""
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return next(module.parameters()).device


def states_dtype(module: nn.Module) -> torch.dtype:
    """The dtype a module computes in; where its weights are only stored in 8-bit floats, that of its norms."""
    wide = (p.dtype for p in module.parameters() if p.is_floating_point() and p.dtype.itemsize > 1)
    return next(wide, torch.float32)


def part_called(
    part: nn.Module, states: Float[torch.Tensor, "*rows dim"]
) -> Float[torch.Tensor, "*rows out"]:
    """A module's own part, called by itself: where its weights are, as offloading may have put them elsewhere."""
    weight: torch.Tensor | None = getattr(part, "weight", None)
    with torch.no_grad():
        found: torch.Tensor
        if weight is None or weight.is_meta:  # with a hook of its own, which fetches the weights
            found = part(states)
        else:
            found = part(states.to(weight.device)).to(states.device)
    return found


def config_of(module: nn.Module) -> PreTrainedConfig:
    """A transformers model's configuration, compiled or not."""
    return cast(PreTrainedConfig, module.config)


def text_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The part of a model's configuration that its text encoder is made by; mostly all of it."""
    parts = (getattr(config, name, None) for name in ("encoder", "text_config"))
    return next(filter(None, parts), config)


def batches(
    rows: Sequence[Row], config: PreTrainedConfig, memory_limit: int
) -> Iterator[Sequence[Row]]:
    """Cut rows into forwards that need about `memory_limit` bytes of activations each, in float32."""
    config = text_config(config)
    widest = max(
        getattr(config, name, 0) for name in ("intermediate_size", "d_ff", "hidden_size", "d_model")
    )
    each = max(len(row.ids) for row in rows) * widest * 4 * _TENSORS
    size = max(1, memory_limit // each)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def ids_of(rows: Sequence[Row], module: nn.Module, pad: int) -> Int[torch.Tensor, "rows tokens"]:
    """What to call a module with: the rows' ids, the shorter ones filled up behind."""
    length = max(len(row.ids) for row in rows)
    filled = [(*row.ids, *[pad] * (length - len(row.ids))) for row in rows]
    return torch.tensor(filled, device=execution_device(module))


def attention_bias(
    rows: Sequence[Row],
    module: nn.Module,
    content: Bool[torch.Tensor, "rows keys"] | None = None,
    *,
    causal: bool = False,
) -> Float[torch.Tensor, "rows 1 queries keys"]:
    """What is added to attention's logits: log of how much each key is attended to, and the causal mask.

    exp(score + log w) = w exp(score): a key of weight w counts w times. Positions beyond a row's end, and those that
    are no content, count 0.

    With causal attention a token of padding in front may see nothing, and then attends to all alike, or to nothing, as the
    implementation has it for masks of its own.
    """
    dtype, length = states_dtype(module), max(len(row.ids) for row in rows)
    lowest = torch.finfo(dtype).min
    shares = torch.zeros(len(rows), length, dtype=torch.float64)
    for share, row in zip(shares, rows, strict=True):
        share[: len(row.ids)] = torch.tensor(row.attention) if row.attention else 1.0
    bias = shares.log().clamp(min=lowest)[:, None, None, :].expand(-1, 1, length, -1)
    if causal:
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        lowest = lowest if is_eager(module) else -torch.inf
        bias = bias.masked_fill(later, lowest)
    bias = bias.to(execution_device(module), dtype)
    if content is None:
        return bias
    return bias.masked_fill(~content[:, None, None, :].to(bias.device), lowest)


def is_eager(module: nn.Module) -> bool:
    """Whether a transformers model attends by torch's plain operations."""
    return bool(text_config(config_of(module))._attn_implementation == "eager")  # noqa: SLF001 no public name


def joined(outputs: Sequence[EncoderOutput]) -> EncoderOutput:
    """The rows of several forwards together."""
    if len(outputs) == 1:
        return outputs[0]
    longest = max(output.states.shape[1] for output in outputs)
    states = [F.pad(o.states, (0, 0, 0, longest - o.states.shape[1])) for o in outputs]
    ends = [output.ends for output in outputs if output.ends is not None]
    return EncoderOutput(states=torch.cat(states), ends=torch.cat(ends) if ends else None)
