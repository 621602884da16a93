"""The families whose denoisers read CLIP's text encoders alone.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

from dataclasses import replace

import torch

from clipcond.families.contract import CLIP, PROJECTED, Family, Role, both_sides
from clipcond.families.handover import one_picture
from clipcond.families.inputs import Inputs, Results, states

_UNETS = ("UNet2DConditionModel", "UNetMotionModel")


def sdxl(results: Results) -> Inputs:
    """Both CLIPs' states side by side on the channels; the second one's pooled vector."""
    first, second = results["text_encoder"], results["text_encoder_2"]
    return Inputs(embeds=torch.cat([first.states, second.states], dim=-1), pooled=second.pooled)


def refiner(results: Results) -> Inputs:
    """The second CLIP alone."""
    second = results["text_encoder_2"]
    return Inputs(embeds=second.states, pooled=second.pooled)


def latent_upscaler(results: Results) -> Inputs:
    """CLIP's last states before the final layer norm; its state at the end of text, not projected."""
    clip = results["text_encoder"]
    return Inputs(embeds=clip.states, pooled=clip.pooled)


def cascade(results: Results) -> Inputs:
    """CLIP's last states before the final layer norm; its pooled vector as a sequence of one."""
    clip = results["text_encoder"]
    return Inputs(embeds=clip.states, pooled=clip.vector[:, None])


_SD1 = Family(
    name="Stable Diffusion 1 and 2",
    roles=(Role(slot="text_encoder", encoder=CLIP, pooled=False),),
    denoiser="unet",
    denoiser_class=_UNETS,
    width="cross_attention_dim",
    assemble=states,
    lacks="pooled_prompt_embeds",
    regions="attention",
)
_SDXL = Family(
    name="Stable Diffusion XL",
    roles=(
        Role(slot="text_encoder", encoder=CLIP, layer=-2, pooled=False),
        Role(slot="text_encoder_2", encoder=PROJECTED, layer=-2, prompt=2),
    ),
    denoiser="unet",
    denoiser_class=_UNETS,
    width="cross_attention_dim",
    assemble=sdxl,
    no_negative="zeros if told",
    regions="attention",
)
_CASCADE = Family(
    name="Stable Cascade prior",
    guidance="positive first",
    roles=(Role(slot="text_encoder", encoder=PROJECTED, layer=-1, padding="masked"),),
    denoiser="prior",
    denoiser_class="StableCascadeUNet",
    width="clip_text_in_channels",
    assemble=cascade,
    arguments=both_sides(pooled_prompt_embeds="prompt_embeds_pooled"),
)

CLIP_FAMILIES: tuple[Family, ...] = (
    _SD1,
    replace(
        _SD1,
        name="LEDITS++",
        hand_over=one_picture,
        arguments={"prompt_embeds": "editing_prompt_embeds"},
        lacks="",
    ),
    _SDXL,
    replace(
        _SDXL,
        name="Stable Diffusion XL refiner",
        roles=(Role(slot="text_encoder_2", encoder=PROJECTED, layer=-2),),
        assemble=refiner,
    ),
    replace(
        _SD1,
        name="Stable Diffusion latent upscaler",
        roles=(Role(slot="text_encoder", encoder=CLIP, layer=-1),),
        assemble=latent_upscaler,
        lacks="",
    ),
    _CASCADE,
    replace(
        _CASCADE,
        name="Stable Cascade decoder",
        denoiser="decoder",
        width="clip_text_pooled_in_channels",
    ),
)
