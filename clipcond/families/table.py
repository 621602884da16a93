"""Which pipelines are known, and what their text inputs look like: a literal table.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each. Variants of one contract (image to image, inpainting,
ControlNet, PAG, LCM, ...) are one family.
"""

from typing import Any

from clipcond.families.contract import T5_CLASSES, Family, Role, lower_stripped, unescaped
from clipcond.families.gemma import ROW_FAMILIES
from clipcond.families.inputs import (
    cascade,
    chroma,
    clip_then_t5,
    flux,
    kandinsky3,
    latent_upscaler,
    latte,
    refiner,
    sd1,
    sd3,
    sdxl,
    t5,
    t5_bool_masked,
    t5_masked,
)
from clipcond.families.language import LANGUAGE_FAMILIES, LANGUAGE_REFUSED

CLIP, PROJECTED, T5 = "CLIPTextModel", "CLIPTextModelWithProjection", T5_CLASSES
_UNET = dict(
    denoiser="unet",
    denoiser_class=("UNet2DConditionModel", "UNetMotionModel"),
    width="cross_attention_dim",
)
_TRANSFORMER = dict(denoiser="transformer", width="joint_attention_dim")
_TE, _TE2, _TE3 = (
    dict(slot=f"text_encoder{n}", tokenizer=f"tokenizer{n}") for n in ("", "_2", "_3")
)


def _t5_family(
    name: str, denoiser_class: str | tuple[str, ...], padding: str, **contract: Any
) -> Family:
    """A family with one T5 whose states a transformer reads."""
    role = Role(encoder=T5, padding=padding, **_TE)
    settings = {"denoiser": "transformer", "assemble": t5} | contract
    return Family(name=name, roles=(role,), denoiser_class=denoiser_class, **settings)


_CASCADE = dict(
    roles=(Role(encoder=PROJECTED, layer=-1, padding="masked", **_TE),),
    denoiser_class="StableCascadeUNet",
    assemble=cascade,
    arguments={
        "pooled_prompt_embeds": "prompt_embeds_pooled",
        "negative_pooled_prompt_embeds": "negative_prompt_embeds_pooled",
    },
)

FAMILIES: tuple[Family, ...] = (
    Family(
        name="Stable Diffusion 1 and 2",
        roles=(Role(encoder=CLIP, **_TE),),
        assemble=sd1,
        lacks="pooled_prompt_embeds",
        **_UNET,
    ),
    Family(
        name="LEDITS++",
        roles=(Role(encoder=CLIP, **_TE),),
        assemble=sd1,
        edits=True,
        arguments={"prompt_embeds": "editing_prompt_embeds"},
        **_UNET,
    ),
    Family(
        name="CLIP + T5 UNet",  # pipelines/clip_t5_unet.py
        roles=(
            Role(encoder=CLIP, **_TE),
            Role(encoder=T5, prompt=2, padding="zero", **_TE2),
        ),
        assemble=clip_then_t5,
        t5_length=128,
        **_UNET,
    ),
    Family(
        name="Stable Diffusion XL",
        roles=(
            Role(encoder=CLIP, layer=-2, **_TE),
            Role(encoder=PROJECTED, layer=-2, prompt=2, **_TE2),
        ),
        assemble=sdxl,
        no_negative="zeros if told",
        **_UNET,
    ),
    Family(
        name="Stable Diffusion XL refiner",
        roles=(Role(encoder=PROJECTED, layer=-2, **_TE2),),
        assemble=refiner,
        no_negative="zeros if told",
        **_UNET,
    ),
    Family(
        name="Stable Diffusion 3",
        roles=(
            Role(encoder=PROJECTED, layer=-2, **_TE),
            Role(encoder=PROJECTED, layer=-2, prompt=2, **_TE2),
            Role(encoder=T5, prompt=3, optional=True, **_TE3),
        ),
        denoiser_class="SD3Transformer2DModel",
        assemble=sd3,
        t5_length=256,
        **_TRANSFORMER,
    ),
    Family(
        name="Flux.1",
        roles=(
            Role(encoder=CLIP, sequence=False, **_TE),
            Role(encoder=T5, prompt=2, **_TE2),
        ),
        denoiser_class="FluxTransformer2DModel",
        assemble=flux,
        no_negative="nothing",
        t5_length=512,
        **_TRANSFORMER,
    ),
    Family(
        name="Stable Diffusion latent upscaler",
        roles=(Role(encoder=CLIP, layer=-1, **_TE),),
        assemble=latent_upscaler,
        **_UNET,
    ),
    Family(
        name="Stable Cascade prior", denoiser="prior", width="clip_text_in_channels", **_CASCADE
    ),
    Family(
        name="Stable Cascade decoder",
        denoiser="decoder",
        width="clip_text_pooled_in_channels",
        **_CASCADE,
    ),
    _t5_family(
        "DeepFloyd IF",
        "UNet2DConditionModel",
        "masked",
        denoiser="unet",
        width="encoder_hid_dim",
        t5_length=77,
        clean=lower_stripped,
    ),
    _t5_family(
        "PixArt",
        "PixArtTransformer2DModel",
        "masked",
        width="caption_channels",
        assemble=t5_masked,
        t5_length=120,
        clean=lower_stripped,
    ),
    _t5_family(
        "Allegro",
        "AllegroTransformer3DModel",
        "masked",
        width="caption_channels",
        assemble=t5_masked,
        t5_length=512,
        clean=lower_stripped,
    ),
    _t5_family(
        "AuraFlow",
        "AuraFlowTransformer2DModel",
        "zero",
        width="joint_attention_dim",
        assemble=t5_masked,
        t5_length=256,
    ),
    _t5_family(
        "Chroma",
        "ChromaTransformer2DModel",
        "masked",
        width="joint_attention_dim",
        assemble=chroma,
        t5_length=512,
    ),
    _t5_family(
        "LTX-Video",
        "LTXVideoTransformer3DModel",
        "read",
        width="caption_channels",
        assemble=t5_bool_masked,
        t5_length=128,
        lacks="conditions",
    ),
    _t5_family(
        "LTX-Video with conditions",
        "LTXVideoTransformer3DModel",
        "masked",
        width="caption_channels",
        assemble=t5_bool_masked,
        t5_length=256,
    ),
    _t5_family(
        "Mochi",
        "MochiTransformer3DModel",
        "masked",
        width="text_embed_dim",
        assemble=t5_bool_masked,
        t5_length=256,
    ),
    _t5_family(
        "CogVideoX",
        ("CogVideoXTransformer3DModel", "ConsisIDTransformer3DModel"),
        "read",
        width="text_embed_dim",
        t5_length=226,
        fixed=True,
    ),
    _t5_family(
        "CogView3+",
        "CogView3PlusTransformer2DModel",
        "read",
        width="text_embed_dim",
        no_negative="zeros",
        drops_negative=True,
        t5_length=224,
    ),
    _t5_family("Cosmos", "CosmosTransformer3DModel", "zero", width="text_embed_dim", t5_length=512),
    _t5_family(
        "Kandinsky 3",
        "Kandinsky3UNet",
        "zero",
        denoiser="unet",
        width="encoder_hid_dim",
        assemble=t5_masked,
        finish=kandinsky3,
        no_negative="zeros",
        t5_length=128,
        arguments={
            "prompt_attention_mask": "attention_mask",
            "negative_prompt_attention_mask": "negative_attention_mask",
        },
    ),
    _t5_family(
        "Wan",
        (
            "WanTransformer3DModel",
            "WanVACETransformer3DModel",
            "WanAnimateTransformer3DModel",
            "SkyReelsV2Transformer3DModel",
            "ChronoEditTransformer3DModel",
            "HeliosTransformer3DModel",
        ),
        "zero",
        width="text_dim",
        t5_length=512,
        clean=unescaped,
    ),
    _t5_family(
        "AnyFlow",
        ("AnyFlowTransformer3DModel", "AnyFlowFARTransformer3DModel"),
        "zero",
        width="text_dim",
        no_negative="nothing",  # it takes one for guidance even where there is none
        t5_length=512,
        clean=unescaped,
    ),
    _t5_family(
        "Bria 3.2", "BriaTransformer2DModel", "zero", width="joint_attention_dim", t5_length=128
    ),
    Family(
        name="Latte",
        roles=(Role(encoder=T5, padding="masked", length=120, **_TE),),
        denoiser="transformer",
        denoiser_class="LatteTransformer3DModel",
        width="caption_channels",
        assemble=t5_bool_masked,
        finish=latte,
        clean=lower_stripped,
    ),
    _t5_family(
        "Stable Audio",
        "StableAudioProjectionModel",
        "masked",
        denoiser="projection_model",  # what reads T5's states; the transformer reads its
        width="text_encoder_dim",
        assemble=t5_masked,
        no_negative="nothing",
        arguments={
            "prompt_attention_mask": "attention_mask",
            "negative_prompt_attention_mask": "negative_attention_mask",
        },
    ),
    *ROW_FAMILIES,
    *LANGUAGE_FAMILIES,
)

# classes that look like one of a family and are not
REFUSED: dict[str, str] = {
    "VisualClozePipeline": "its call takes no embeddings without a task prompt, and none with one",
    "VisualClozeGenerationPipeline": "its call takes no embeddings without a task prompt, and none with one",
    "StableUnCLIPPipeline": "its prior reads the prompt as text only",
    **LANGUAGE_REFUSED,
}
