"""Families for pictures that read T5 or UMT5 alone: PixArt, AuraFlow, Chroma, CogView 3, Bria."""

from functools import partial

from diffusers import (
    AuraFlowTransformer2DModel,
    BriaTransformer2DModel,
    ChromaTransformer2DModel,
    CogVideoXDDIMScheduler,
    CogView3PlusTransformer2DModel,
    DDIMScheduler,
    PixArtTransformer2DModel,
)

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import ADAPTIVE, FLOW, T5, UMT5, flow_vae, vae
from tests.zoo.inputs import call, image, inpaint

PIXART: Parts = T5 | dict(
    transformer=lambda: PixArtTransformer2DModel(**ADAPTIVE, num_layers=2),
    scheduler=DDIMScheduler,
    vae=vae,
)
AURA: Parts = UMT5 | FLOW | dict(
    transformer=lambda: AuraFlowTransformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=32, out_channels=4, pos_embed_max_size=256,
    ),
    vae=vae,
)  # fmt: skip
CHROMA: Parts = T5 | FLOW | dict(
    transformer=lambda: ChromaTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=[4, 4, 8],
        approximator_hidden_dim=32, approximator_layers=1, approximator_num_channels=16,
    ),
    vae=lambda: flow_vae(1),
)  # fmt: skip
COGVIEW: Parts = T5 | dict(
    transformer=lambda: CogView3PlusTransformer2DModel(
        patch_size=2, in_channels=4, num_layers=1, attention_head_dim=4, num_attention_heads=2, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=2, pos_embed_max_size=8, sample_size=8,
    ),
    scheduler=CogVideoXDDIMScheduler,
    vae=vae,
)  # fmt: skip
BRIA: Parts = T5 | FLOW | dict(
    transformer=lambda: BriaTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=None, axes_dims_rope=[0, 4, 4],
    ),
    vae=vae,
)  # fmt: skip


def _told_chroma() -> ChromaTransformer2DModel:
    """With the entry that inpainting in diffusers 0.42 asks the configuration for, and no Chroma has."""
    model = CHROMA["transformer"]()
    model.register_to_config(guidance_embeds=False)
    return model


_call = partial(call, 16, max_sequence_length=24)
_pixart = _call(use_resolution_binning=False)
ANIMALS: dict[str, Animal] = {
    **family(PIXART, PixArtAlphaPipeline=_pixart, PixArtSigmaPipeline=_pixart),
    **family(PIXART, dict(pag_applied_layers=["blocks.1"]), PixArtSigmaPAGPipeline=_pixart),
    **family(AURA, AuraFlowPipeline=_call()),
    **family(CHROMA, ChromaPipeline=_call(), ChromaImg2ImgPipeline=_call(**image(16))),
    **family(CHROMA | dict(transformer=_told_chroma), ChromaInpaintPipeline=_call(**inpaint(16))),
    **family(COGVIEW, CogView3PlusPipeline=_call()),
    **family(BRIA, BriaPipeline=_call()),
}
