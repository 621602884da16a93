"""What each family's denoiser reads, from what its text encoders gave: one small function a family.

As diffusers 0.42 has it, `encode_prompt` of each family.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One encoder's result for every prompt of a call.

    Attributes:
        states: all of one length.
        pooled: None where the encoder has none (T5).
    """

    states: Float[torch.Tensor, "prompts tokens dim"]
    pooled: Float[torch.Tensor, "prompts pooled_dim"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """A denoiser's text inputs.

    Attributes:
        embeds: what its cross-attention reads.
        pooled: what its time embedding reads, or None.
    """

    embeds: Float[torch.Tensor, "prompts tokens dim"]
    pooled: Float[torch.Tensor, "prompts pooled_dim"] | None = None

    def part(self, prompts: slice) -> "Inputs":
        """Those of some of the prompts."""
        return Inputs(
            embeds=self.embeds[prompts],
            pooled=None if self.pooled is None else self.pooled[prompts],
        )

    def zeros(self) -> "Inputs":
        """Zeros of the same shapes."""
        return Inputs(
            embeds=torch.zeros_like(self.embeds),
            pooled=None if self.pooled is None else torch.zeros_like(self.pooled),
        )


Assemble = Callable[[Mapping[str, Encoded], int, int], Inputs]


def sd1(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """CLIP's states."""
    return Inputs(embeds=results["text_encoder"].states)


def sdxl(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """Both CLIPs' states side by side on the channels; the second one's pooled vector."""
    first, second = results["text_encoder"], results["text_encoder_2"]
    return Inputs(embeds=torch.cat([first.states, second.states], dim=-1), pooled=second.pooled)


def refiner(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """The second CLIP alone."""
    second = results["text_encoder_2"]
    return Inputs(embeds=second.states, pooled=second.pooled)


def sd3(results: Mapping[str, Encoded], width: int, t5_length: int) -> Inputs:
    """Both CLIPs side by side, zeros up to the denoiser's width, then T5's tokens, or zeros where there is no T5."""
    first, second = results["text_encoder"], results["text_encoder_2"]
    clip = torch.cat([first.states, second.states], dim=-1)
    clip = F.pad(clip, (0, width - clip.shape[-1]))
    if "text_encoder_3" in results:
        t5 = results["text_encoder_3"].states.to(clip)
    else:
        t5 = clip.new_zeros(len(clip), t5_length, width)
    pooled = torch.cat([first.pooled, second.pooled], dim=-1)
    return Inputs(embeds=torch.cat([clip, t5], dim=1), pooled=pooled)


def flux(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states; CLIP's pooled vector."""
    t5 = results["text_encoder_2"].states
    return Inputs(embeds=t5, pooled=results["text_encoder"].pooled.to(t5))
