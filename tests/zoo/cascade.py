"""Stable Cascade, DeepFloyd IF and Kandinsky 3: cascades that are not Stable Diffusion."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    DDPMScheduler,
    DDPMWuerstchenScheduler,
    Kandinsky3UNet,
    StableCascadeUNet,
    UNet2DConditionModel,
)
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import PROJECTED, SAFE, SIMPLE, T5, movq
from tests.zoo.inputs import call, image, steps


def _prior() -> StableCascadeUNet:
    return StableCascadeUNet(
        conditioning_dim=64, block_out_channels=(64, 64), num_attention_heads=(1, 1), down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1), clip_image_in_channels=32, switch_level=(False,), clip_text_in_channels=32,
        clip_text_pooled_in_channels=32, dropout=(0.1, 0.1),
    )  # fmt: skip


def _decoder() -> StableCascadeUNet:
    plain, once = ("SDCascadeResBlock", "SDCascadeTimestepBlock"), (1, 1, 1, 1)
    return StableCascadeUNet(
        in_channels=4, out_channels=4, conditioning_dim=64, block_out_channels=(16, 32, 64, 64),
        num_attention_heads=(-1, -1, 1, 1), down_num_layers_per_block=once, up_num_layers_per_block=once,
        down_blocks_repeat_mappers=once, up_blocks_repeat_mappers=once,
        block_types_per_layer=(plain, plain, *((*plain, "SDCascadeAttnBlock"),) * 2),
        switch_level=None, clip_text_pooled_in_channels=32, dropout=(0.1, 0.1, 0.1, 0.1),
    )  # fmt: skip


STABLE: Parts = PROJECTED | dict(
    prior=_prior,
    prior_prior=_prior,
    decoder=_decoder,
    vqgan=lambda: PaellaVQModel(bottleneck_blocks=1, num_vq_embeddings=2),
    prior_text_encoder=PROJECTED["text_encoder"],
    prior_tokenizer=PROJECTED["tokenizer"],
    scheduler=DDPMWuerstchenScheduler,
    prior_scheduler=DDPMWuerstchenScheduler,
)


def _if_unet(channels: int = 3, **changes: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        **SIMPLE, sample_size=16, block_out_channels=(8, 16), in_channels=channels, out_channels=6, norm_num_groups=8,
        attention_head_dim=8, addition_embed_type="text", addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm", act_fn="gelu", **changes,
    )  # fmt: skip


def _if_noise() -> DDPMScheduler:
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", thresholding=True, dynamic_thresholding_ratio=0.95, sample_max_value=1.0,
        variance_type="learned_range",
    )  # fmt: skip


IF: Parts = T5 | dict(unet=_if_unet, scheduler=_if_noise, image_noising_scheduler=DDPMScheduler)
SUPER: Parts = IF | dict(unet=lambda: _if_unet(6, class_embed_type="timestep"))
KANDINSKY: Parts = T5 | dict(
    unet=lambda: Kandinsky3UNet(
        in_channels=4, time_embedding_dim=4, groups=2, attention_head_dim=4, layers_per_block=3,
        block_out_channels=(32, 64), cross_attention_dim=4, encoder_hid_dim=32,
    ),
    movq=movq,
    scheduler=lambda: DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
)  # fmt: skip
FLOATS = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
_if = partial(call, output="np")


def _decode() -> dict[str, Any]:
    return steps(output="np", image_embeddings=torch.rand(1, 4, 4, 4), guidance_scale=2.0)


ANIMALS: dict[str, Animal] = {
    **family(
        STABLE,
        StableCascadePriorPipeline=call(128, output="pt"),
        StableCascadeDecoderPipeline=_decode,
        StableCascadeCombinedPipeline=call(128, output="np", prior_num_inference_steps=2),
    ),
    **family(
        IF,
        SAFE,
        IFPipeline=_if(),
        IFImg2ImgPipeline=_if(image=FLOATS, strength=0.9),
        IFInpaintingPipeline=_if(image=FLOATS, mask_image=FLOATS, strength=0.9),
    ),
    **family(
        SUPER,
        SAFE,
        IFSuperResolutionPipeline=_if(image=FLOATS),
        IFImg2ImgSuperResolutionPipeline=_if(image=FLOATS, original_image=FLOATS),
        IFInpaintingSuperResolutionPipeline=_if(
            image=FLOATS, original_image=FLOATS, mask_image=FLOATS
        ),
    ),
    **family(KANDINSKY, Kandinsky3Pipeline=call(16), Kandinsky3Img2ImgPipeline=call(**image(16))),
}
