"""What each family's denoiser reads, from what its text encoders gave: one small function a family.

As diffusers 0.42 has it, `encode_prompt` of each family.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Shaped
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One encoder's result for every prompt of a call.

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

    def part(self, prompts: slice) -> "Inputs":
        """Those of some of the prompts."""
        return self._each(lambda tensor: tensor[prompts])

    def zeros(self) -> "Inputs":
        """Zeros of the same shapes."""
        return self._each(torch.zeros_like)

    def trimmed(self) -> "Inputs":
        """Those without the positions that the mask leaves out for all."""
        longest = int(self.mask.sum(1).max())
        return replace(self, embeds=self.embeds[:, :longest], mask=self.mask[:, :longest])

    def named(self) -> dict[str, torch.Tensor | None]:
        """The tensors by `Conditioning`'s names for the positive side."""
        return {
            "prompt_embeds": self.embeds,
            "pooled_prompt_embeds": self.pooled,
            "prompt_attention_mask": self.mask,
            "prompt_embeds_2": self.embeds_2,
            "prompt_attention_mask_2": self.mask_2,
        }

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Inputs":
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return Inputs(**{n: None if t is None else change(t) for n, t in tensors.items()})


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


def kandinsky3(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states with padding as zeros, cut to one more than the longest prompt has."""
    found = results["text_encoder"]
    longest = int(found.content.sum(1).max()) + 1
    return Inputs(embeds=found.states[:, :longest], mask=found.content[:, :longest].long())


def latte(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states: of one prompt, it and its negative one cut to the prompt's length; of several, with padding as zeros
    in the prompts, not in the negative ones. So the pipeline does it with strings, and not with what it is given.
    """
    found = results["text_encoder"]
    count = len(found.states) // 2
    if count == 1:
        return Inputs(embeds=found.states[:, : int(found.content[0].sum())])
    shown = found.content.clone()
    shown[count:] = True
    return Inputs(embeds=found.states * shown[:, :, None].to(found.states))


def hunyuan_dit(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """BERT's states and T5's, each with which of them are the prompt's."""
    bert, t5_found = results["text_encoder"], results["text_encoder_2"]
    return Inputs(
        embeds=bert.states,
        mask=bert.content.long(),
        embeds_2=t5_found.states.to(bert.states.device),
        mask_2=t5_found.content.long(),
    )
