"""What all adapted encoders share: where they run, how much one forward takes, how attention is weighted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch.nn import functional as F

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


def execution_device(module: Any) -> torch.device:
    """Where a forward takes its inputs: with accelerate's offloading, not where the weights are."""
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return torch.device(module.device)


def states_dtype(module: Any) -> torch.dtype:
    """The dtype a module computes in; where its weights are only stored in 8-bit floats, that of its norms."""
    if module.dtype.itemsize > 1:
        return module.dtype
    wide = (p.dtype for p in module.parameters() if p.is_floating_point() and p.dtype.itemsize > 1)
    return next(wide, torch.float32)


def part_called(
    part: Any, states: Float[torch.Tensor, "*rows dim"]
) -> Float[torch.Tensor, "*rows out"]:
    """A module's own part, called by itself: where its weights are, as offloading may have put them elsewhere."""
    weight = getattr(part, "weight", None)
    with torch.no_grad():
        if weight is None or weight.is_meta:  # with a hook of its own, which fetches the weights
            return part(states)
        return part(states.to(weight.device)).to(states.device)


def text_config(config: Any) -> Any:
    """The part of a model's configuration that its text encoder is made by; mostly all of it."""
    return getattr(config, "encoder", None) or getattr(config, "text_config", None) or config


def batches(rows: Sequence[Row], config: Any, memory_limit: int) -> Iterator[Sequence[Row]]:
    """Cut rows into forwards that need about `memory_limit` bytes of activations each, in float32."""
    config = text_config(config)
    widest = max(
        getattr(config, name, 0) for name in ("intermediate_size", "d_ff", "hidden_size", "d_model")
    )
    each = max(len(row.ids) for row in rows) * widest * 4 * _TENSORS
    size = max(1, memory_limit // each)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def attention_bias(
    rows: Sequence[Row], length: int, *, causal: bool, place: dict[str, Any]
) -> Float[torch.Tensor, "rows 1 queries keys"]:
    """What is added to attention's logits: log of how much each key is attended to, and the causal mask.

    exp(score + log w) = w exp(score): a key of weight w counts w times. Positions beyond a row's end count 0.
    """
    lowest = torch.finfo(place["dtype"]).min
    shares = torch.zeros(len(rows), length, dtype=torch.float64)
    for share, row in zip(shares, rows, strict=True):
        share[: len(row.ids)] = torch.tensor(row.attention) if row.attention else 1.0
    bias = shares.log().clamp(min=lowest)[:, None, None, :].expand(-1, 1, length, -1)
    if causal:
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        bias = bias.masked_fill(later, lowest)
    return bias.to(**place)


def joined(outputs: Sequence[EncoderOutput]) -> EncoderOutput:
    """The rows of several forwards together."""
    if len(outputs) == 1:
        return outputs[0]
    longest = max(output.states.shape[1] for output in outputs)
    states = [F.pad(o.states, (0, 0, 0, longest - o.states.shape[1])) for o in outputs]
    ends = None if outputs[0].ends is None else torch.cat([o.ends for o in outputs])
    return EncoderOutput(states=torch.cat(states), ends=ends)
