"""Families for pictures that read T5 or UMT5 alone: PixArt, AuraFlow, Chroma, CogView 3, Bria."""

from typing import Any

import diffusers
from diffusers import (
    AuraFlowTransformer2DModel,
    ChromaTransformer2DModel,
    CogVideoXDDIMScheduler,
    CogView3PlusTransformer2DModel,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    PixArtTransformer2DModel,
)

from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import T5, UMT5, flow_vae, vae
from tests.zoo.inputs import mask, picture, steps

PIXART: Parts = T5 | dict(
    transformer=lambda: PixArtTransformer2DModel(
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
    ),
    scheduler=DDIMScheduler,
    vae=vae,
)
AURA: Parts = UMT5 | dict(
    transformer=lambda: AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        out_channels=4,
        pos_embed_max_size=256,
    ),
    scheduler=FlowMatchEulerDiscreteScheduler,
    vae=vae,
)
CHROMA: Parts = T5 | dict(
    transformer=lambda: ChromaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 4, 8],
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    ),
    scheduler=FlowMatchEulerDiscreteScheduler,
    vae=lambda: flow_vae(1),
)
COGVIEW: Parts = T5 | dict(
    transformer=lambda: CogView3PlusTransformer2DModel(
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        out_channels=4,
        text_embed_dim=32,
        time_embed_dim=8,
        condition_dim=2,
        pos_embed_max_size=8,
        sample_size=8,
    ),
    scheduler=CogVideoXDDIMScheduler,
    vae=vae,
)
BRIA: Parts = T5 | dict(
    transformer=lambda: diffusers.BriaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=None,
        axes_dims_rope=[0, 4, 4],
    ),
    scheduler=FlowMatchEulerDiscreteScheduler,
    vae=vae,
)


def _told_chroma() -> ChromaTransformer2DModel:
    """With the entry that inpainting in diffusers 0.42 asks the configuration for, and no Chroma has."""
    model = CHROMA["transformer"]()
    model.register_to_config(guidance_embeds=False)
    return model


def _text(size: int = 16, **more: Any) -> dict[str, Any]:
    return steps(height=size, width=size, max_sequence_length=24, **more)


def _pixart() -> dict[str, Any]:
    return _text(use_resolution_binning=False)


def _image() -> dict[str, Any]:
    return _text(image=picture(16), strength=0.9)


ANIMALS: dict[str, Animal] = dict(
    [
        animal("PixArtAlphaPipeline", PIXART, _pixart),
        animal("PixArtSigmaPipeline", PIXART, _pixart),
        animal("PixArtSigmaPAGPipeline", PIXART, _pixart, pag_applied_layers=["blocks.1"]),
        animal("AuraFlowPipeline", AURA, _text),
        animal("ChromaPipeline", CHROMA, _text),
        animal("ChromaImg2ImgPipeline", CHROMA, _image),
        animal(
            "ChromaInpaintPipeline",
            CHROMA | dict(transformer=_told_chroma),
            lambda: _image() | dict(mask_image=mask(16)),
        ),
        animal("CogView3PlusPipeline", COGVIEW, _text),
        animal("BriaPipeline", BRIA, _text),
    ]
)
