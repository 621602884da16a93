"""The families whose denoisers read a T5's states, alone or beside CLIP's or BERT's.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

from dataclasses import replace

import torch
from torch.nn import functional as F

from clipcond.families.contract import (
    CLIP,
    PROJECTED,
    T5_CLASSES,
    Family,
    Role,
    both_sides,
    unescaped,
)
from clipcond.families.handover import no_negative
from clipcond.families.inputs import POSITIVE, Inputs, Results, Sides, bool_masked, masked, states

# of every published one; looked at only where there is neither a denoiser nor a T5
_SD3_WIDTH = 4096


def clip_then_t5(results: Results) -> Inputs:
    """CLIP's states, then T5's, on the token axis; the encoders bring both to one width."""
    clip, t5 = results["text_encoder"].states, results["text_encoder_2"].states
    return Inputs(embeds=torch.cat([clip, t5.to(clip.device)], dim=1))


def sd3(results: Results) -> Inputs:
    """Both CLIPs side by side, zeros up to T5's width, then T5's tokens, or zeros where there is no T5."""
    first, second = results["text_encoder"], results["text_encoder_2"]
    clip = torch.cat([first.states, second.states], dim=-1)
    if "text_encoder_3" in results.encoders:
        t5 = results["text_encoder_3"].states.to(clip.device)
    else:
        t5 = clip.new_zeros(len(clip), results.t5_length, results.width or _SD3_WIDTH)
    clip = F.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
    pooled = torch.cat([first.vector, second.vector], dim=-1)
    return Inputs(embeds=torch.cat([clip, t5], dim=1), pooled=pooled)


def flux(results: Results) -> Inputs:
    """T5's states; CLIP's pooled vector."""
    t5 = results["text_encoder_2"].states
    return Inputs(embeds=t5, pooled=results["text_encoder"].vector.to(t5.device))


def chroma(results: Results) -> Inputs:
    """T5's states; the denoiser looks at the first padding token as well."""
    found = results["text_encoder"]
    lengths = found.content.sum(1, keepdim=True)
    positions = torch.arange(found.content.shape[1], device=lengths.device)
    return Inputs(embeds=found.states, mask=(positions <= lengths).to(found.states.dtype))


def hunyuan_dit(results: Results) -> Inputs:
    """BERT's states and T5's, each with which of them are the prompt's."""
    bert, t5_found = results["text_encoder"], results["text_encoder_2"]
    return Inputs(
        embeds=bert.states,
        mask=bert.content.long(),
        embeds_2=t5_found.states.to(bert.states.device),
        mask_2=t5_found.content.long(),
    )


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


def lower_stripped(text: str) -> str:
    """What DeepFloyd IF, PixArt and their like do to every prompt.

    Their `clean_caption` does more where beautifulsoup4 is installed; that is not imitated.
    """
    return text.lower().strip()


_READ = Role(slot="text_encoder", encoder=T5_CLASSES)
_MASKED, _ZERO = replace(_READ, padding="masked"), replace(_READ, padding="zero")

T5_FAMILIES: tuple[Family, ...] = (
    Family(
        name="CLIP + T5 UNet",  # pipelines/clip_t5_unet.py
        roles=(
            Role(slot="text_encoder", encoder=CLIP),
            Role(slot="text_encoder_2", encoder=T5_CLASSES, prompt=2, padding="zero"),
        ),
        denoiser="unet",
        denoiser_class=("UNet2DConditionModel", "UNetMotionModel"),
        width="cross_attention_dim",
        assemble=clip_then_t5,
        t5_length=128,
        regions="attention",
    ),
    Family(
        name="Stable Diffusion 3",
        roles=(
            Role(slot="text_encoder", encoder=PROJECTED, layer=-2),
            Role(slot="text_encoder_2", encoder=PROJECTED, layer=-2, prompt=2),
            Role(slot="text_encoder_3", encoder=T5_CLASSES, prompt=3, optional=True),
        ),
        denoiser_class="SD3Transformer2DModel",
        width="joint_attention_dim",
        assemble=sd3,
        t5_length=256,
        regions="attention",
    ),
    Family(
        name="Flux.1",
        guidance="two calls",
        roles=(
            Role(slot="text_encoder", encoder=CLIP, sequence=False),
            Role(slot="text_encoder_2", encoder=T5_CLASSES, prompt=2),
        ),
        denoiser_class="FluxTransformer2DModel",
        width="joint_attention_dim",
        assemble=flux,
        no_negative="nothing",
        t5_length=512,
        regions="attention",
    ),
    Family(
        name="DeepFloyd IF",
        roles=(_MASKED,),
        denoiser="unet",
        denoiser_class="UNet2DConditionModel",
        width="encoder_hid_dim",
        assemble=states,
        t5_length=77,
        clean=lower_stripped,
    ),
    Family(
        name="PixArt",
        roles=(_MASKED,),
        denoiser_class="PixArtTransformer2DModel",
        width="caption_channels",
        assemble=masked,
        t5_length=120,
        clean=lower_stripped,
    ),
    Family(
        name="Allegro",
        roles=(_MASKED,),
        denoiser_class="AllegroTransformer3DModel",
        width="caption_channels",
        assemble=masked,
        t5_length=512,
        clean=lower_stripped,
    ),
    Family(
        name="AuraFlow",
        roles=(_ZERO,),
        denoiser_class="AuraFlowTransformer2DModel",
        width="joint_attention_dim",
        assemble=masked,
        t5_length=256,
    ),
    Family(
        name="Chroma",
        guidance="two calls",
        roles=(_MASKED,),
        denoiser_class="ChromaTransformer2DModel",
        width="joint_attention_dim",
        assemble=chroma,
        t5_length=512,
    ),
    Family(
        name="LTX-Video",
        roles=(_READ,),
        denoiser_class="LTXVideoTransformer3DModel",
        width="caption_channels",
        assemble=bool_masked,
        t5_length=128,
        lacks="conditions",
    ),
    Family(
        name="LTX-Video with conditions",
        roles=(_MASKED,),
        denoiser_class="LTXVideoTransformer3DModel",
        width="caption_channels",
        assemble=bool_masked,
        t5_length=256,
    ),
    Family(
        name="Mochi",
        roles=(_MASKED,),
        denoiser_class="MochiTransformer3DModel",
        width="text_embed_dim",
        assemble=bool_masked,
        t5_length=256,
    ),
    Family(
        name="CogVideoX",
        roles=(_READ,),
        denoiser_class=("CogVideoXTransformer3DModel", "ConsisIDTransformer3DModel"),
        width="text_embed_dim",
        assemble=states,
        t5_length=226,
        fixed=True,
    ),
    Family(
        name="CogView3+",
        roles=(_READ,),
        denoiser_class="CogView3PlusTransformer2DModel",
        width="text_embed_dim",
        assemble=states,
        no_negative="zeros",
        t5_length=224,
        hand_over=no_negative,
    ),
    Family(
        name="Cosmos",
        guidance="two calls",
        roles=(_ZERO,),
        denoiser_class="CosmosTransformer3DModel",
        width="text_embed_dim",
        assemble=states,
        t5_length=512,
    ),
    Family(
        name="Kandinsky 3",
        roles=(_ZERO,),
        denoiser="unet",
        denoiser_class="Kandinsky3UNet",
        width="encoder_hid_dim",
        assemble=masked,
        finish=kandinsky3,
        no_negative="zeros",
        t5_length=128,
        arguments=both_sides(prompt_attention_mask="attention_mask"),
    ),
    Family(
        name="Wan",
        guidance="two calls",
        roles=(_ZERO,),
        denoiser_class=(
            "WanTransformer3DModel",
            "WanVACETransformer3DModel",
            "WanAnimateTransformer3DModel",
            "SkyReelsV2Transformer3DModel",
            "ChronoEditTransformer3DModel",
            "HeliosTransformer3DModel",
        ),
        width="text_dim",
        assemble=states,
        t5_length=512,
        clean=unescaped,
    ),
    Family(
        name="AnyFlow",
        roles=(_ZERO,),
        denoiser_class=("AnyFlowTransformer3DModel", "AnyFlowFARTransformer3DModel"),
        width="text_dim",
        assemble=states,
        no_negative="nothing",  # it takes one for guidance even where there is none
        t5_length=512,
        clean=unescaped,
    ),
    Family(
        name="Bria 3.2",
        roles=(_ZERO,),
        denoiser_class="BriaTransformer2DModel",
        width="joint_attention_dim",
        assemble=states,
        t5_length=128,
    ),
    Family(
        name="Latte",
        roles=(replace(_MASKED, length=120),),
        denoiser_class="LatteTransformer3DModel",
        width="caption_channels",
        assemble=bool_masked,
        finish=latte,
        clean=lower_stripped,
    ),
    Family(
        name="Stable Audio",
        roles=(_MASKED,),
        denoiser="projection_model",  # what reads T5's states; the transformer reads its
        denoiser_class="StableAudioProjectionModel",
        width="text_encoder_dim",
        assemble=masked,
        no_negative="nothing",
        arguments=both_sides(prompt_attention_mask="attention_mask"),
    ),
    Family(
        name="HunyuanDiT",
        roles=(
            Role(slot="text_encoder", encoder="BertModel", padding="masked", length=77),
            Role(slot="text_encoder_2", encoder=T5_CLASSES, padding="masked", length=256),
        ),
        denoiser_class="HunyuanDiT2DModel",
        width="cross_attention_dim",
        assemble=hunyuan_dit,
        fixed=True,
    ),
)
