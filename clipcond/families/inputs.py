"""What each family's denoiser reads, from what its text encoders gave: one small function a family.

As diffusers 0.42 has it, `encode_prompt` of each family.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Shaped
from torch.nn import functional as F

T = TypeVar("T")
POSITIVE, NEGATIVE = "positive", "negative"
Sides = Mapping[
    str, T
]  # what a call asks for, by name; a side that it does not ask for is not there

# each of a denoiser's text inputs by its name in `Conditioning`; the negative side's has "negative_" before it
NAMES = {
    "embeds": "prompt_embeds",
    "pooled": "pooled_prompt_embeds",
    "mask": "prompt_attention_mask",
    "embeds_2": "prompt_embeds_2",
    "mask_2": "prompt_attention_mask_2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One encoder's result for every prompt of a side.

    Attributes:
        states: all of one length.
        pooled: None where the encoder has none (T5).
        content: where there is more than padding.
        layers: how many layers' states follow each other on the channels.
    """

    states: Float[torch.Tensor, "prompts tokens dim"]
    pooled: Float[torch.Tensor, "prompts pooled_dim"] | None
    content: Bool[torch.Tensor, "prompts tokens"]
    layers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """A denoiser's text inputs.

    Attributes:
        embeds: what its cross-attention reads.
        pooled: what its time embedding reads, or None.
        mask: which tokens it is to look at, or None.
        embeds_2: a second sequence that it reads beside the first, or None.
        mask_2: which of its tokens it is to look at.
    """

    embeds: Float[torch.Tensor, "prompts tokens dim"]
    pooled: Shaped[torch.Tensor, "prompts ..."] | None = None
    mask: Shaped[torch.Tensor, "prompts tokens"] | None = None
    embeds_2: Float[torch.Tensor, "prompts tokens_2 *layers dim_2"] | None = None
    mask_2: Shaped[torch.Tensor, "prompts tokens_2"] | None = None

    @property
    def seen(self) -> Shaped[torch.Tensor, "prompts tokens"]:
        """Which tokens the denoiser is to look at: all where there is no mask."""
        return self.embeds.new_ones(self.embeds.shape[:2]) if self.mask is None else self.mask

    @property
    def longest(self) -> int:
        """Positions that the denoiser looks at in the longest prompt."""
        return int(self.seen.sum(1).max())

    def cut(self, length: int) -> "Inputs":
        """Those of the first positions only."""
        mask = None if self.mask is None else self.mask[:, :length]
        return replace(self, embeds=self.embeds[:, :length], mask=mask)

    def zeros(self) -> "Inputs":
        """Zeros of the same shapes."""

        def zeros(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else torch.zeros_like(tensor)

        return Inputs(
            embeds=torch.zeros_like(self.embeds),
            pooled=zeros(self.pooled),
            mask=zeros(self.mask),
            embeds_2=zeros(self.embeds_2),
            mask_2=zeros(self.mask_2),
        )


Assemble = Callable[[Mapping[str, Encoded], int, int], Inputs]
Finish = Callable[[Sides[Inputs]], Sides[Inputs]]


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


_SD3_WIDTH = (
    4096  # of every published one; looked at only where there is neither a denoiser nor a T5
)


def sd3(results: Mapping[str, Encoded], width: int, t5_length: int) -> Inputs:
    """Both CLIPs side by side, zeros up to T5's width, then T5's tokens, or zeros where there is no T5."""
    first, second = results["text_encoder"], results["text_encoder_2"]
    clip = torch.cat([first.states, second.states], dim=-1)
    if "text_encoder_3" in results:
        t5 = results["text_encoder_3"].states.to(clip.device)
    else:
        t5 = clip.new_zeros(len(clip), t5_length, width or _SD3_WIDTH)
    clip = F.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
    pooled = torch.cat([first.pooled, second.pooled], dim=-1)
    return Inputs(embeds=torch.cat([clip, t5], dim=1), pooled=pooled)


def flux(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states; CLIP's pooled vector."""
    t5 = results["text_encoder_2"].states
    return Inputs(embeds=t5, pooled=results["text_encoder"].pooled.to(t5.device))


def latent_upscaler(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """CLIP's last states before the final layer norm; its state at the end of text, not projected."""
    clip = results["text_encoder"]
    return Inputs(embeds=clip.states, pooled=clip.pooled)


def cascade(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """CLIP's last states before the final layer norm; its pooled vector as a sequence of one."""
    clip = results["text_encoder"]
    return Inputs(embeds=clip.states, pooled=clip.pooled[:, None])


def clip_then_t5(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """CLIP's states, then T5's, on the token axis; the encoders bring both to one width."""
    clip, t5_states = results["text_encoder"].states, results["text_encoder_2"].states
    return Inputs(embeds=torch.cat([clip, t5_states.to(clip.device)], dim=1))


def t5(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states."""
    return Inputs(embeds=results["text_encoder"].states)


def t5_masked(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states, and which of them are the prompt's."""
    found = results["text_encoder"]
    return Inputs(embeds=found.states, mask=found.content.long())


def t5_bool_masked(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """The same as true and false."""
    found = results["text_encoder"]
    return Inputs(embeds=found.states, mask=found.content)


def chroma(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states; the denoiser looks at the first padding token as well."""
    found = results["text_encoder"]
    lengths = found.content.sum(1, keepdim=True)
    positions = torch.arange(found.content.shape[1], device=lengths.device)
    return Inputs(embeds=found.states, mask=(positions <= lengths).to(found.states.dtype))


def hunyuan_dit(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """BERT's states and T5's, each with which of them are the prompt's."""
    bert, t5_found = results["text_encoder"], results["text_encoder_2"]
    return Inputs(
        embeds=bert.states,
        mask=bert.content.long(),
        embeds_2=t5_found.states.to(bert.states.device),
        mask_2=t5_found.content.long(),
    )


def as_assembled(sides: Sides[Inputs]) -> Sides[Inputs]:
    """Most denoisers read each side as it is."""
    return sides


def each_trimmed(sides: Sides[Inputs]) -> Sides[Inputs]:
    """Each side without the positions that its mask leaves out for all of its prompts."""
    return {side: inputs.cut(inputs.longest) for side, inputs in sides.items()}


def kandinsky3(sides: Sides[Inputs]) -> Sides[Inputs]:
    """All sides cut to one more position than the longest prompt has."""
    longest = max(inputs.longest for inputs in sides.values()) + 1
    return {side: inputs.cut(longest) for side, inputs in sides.items()}


def latte(sides: Sides[Inputs]) -> Sides[Inputs]:
    """States without their mask: of one prompt, it and its negative one cut to the prompt's length; of several, with
    padding as zeros in the prompts, not in the negative ones. So the pipeline does it with strings, and not with what it
    is given.
    """
    prompts = sides[POSITIVE]
    if len(prompts.embeds) == 1:
        return {side: Inputs(embeds=i.embeds[:, : prompts.longest]) for side, i in sides.items()}
    shown = prompts.embeds * prompts.seen[:, :, None].to(prompts.embeds)
    others = {side: Inputs(embeds=inputs.embeds) for side, inputs in sides.items()}
    return {**others, POSITIVE: Inputs(embeds=shown)}
