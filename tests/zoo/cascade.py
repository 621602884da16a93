"""Stable Cascade, DeepFloyd IF and Kandinsky 3: cascades that are not Stable Diffusion."""

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

from pipelines.tiny import clip_tokenizer, projected
from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import T5, movq
from tests.zoo.inputs import picture, steps


def _prior() -> StableCascadeUNet:
    return StableCascadeUNet(
        conditioning_dim=64,
        block_out_channels=(64, 64),
        num_attention_heads=(1, 1),
        down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1),
        clip_image_in_channels=32,
        switch_level=(False,),
        clip_text_in_channels=32,
        clip_text_pooled_in_channels=32,
        dropout=(0.1, 0.1),
    )


def _decoder() -> StableCascadeUNet:
    plain = ("SDCascadeResBlock", "SDCascadeTimestepBlock")
    return StableCascadeUNet(
        in_channels=4,
        out_channels=4,
        conditioning_dim=64,
        block_out_channels=(16, 32, 64, 64),
        num_attention_heads=(-1, -1, 1, 1),
        down_num_layers_per_block=(1, 1, 1, 1),
        up_num_layers_per_block=(1, 1, 1, 1),
        down_blocks_repeat_mappers=(1, 1, 1, 1),
        up_blocks_repeat_mappers=(1, 1, 1, 1),
        block_types_per_layer=(plain, plain, *((*plain, "SDCascadeAttnBlock"),) * 2),
        switch_level=None,
        clip_text_pooled_in_channels=32,
        dropout=(0.1, 0.1, 0.1, 0.1),
    )


STABLE: Parts = dict(
    prior=_prior,
    prior_prior=_prior,
    decoder=_decoder,
    vqgan=lambda: PaellaVQModel(bottleneck_blocks=1, num_vq_embeddings=2),
    text_encoder=lambda: projected(1),
    tokenizer=clip_tokenizer,
    prior_text_encoder=lambda: projected(1),
    prior_tokenizer=clip_tokenizer,
    scheduler=DDPMWuerstchenScheduler,
    prior_scheduler=DDPMWuerstchenScheduler,
)


def _if_unet(channels: int = 3, **changes: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        in_channels=channels,
        out_channels=6,
        norm_num_groups=8,
        cross_attention_dim=32,
        encoder_hid_dim=32,
        attention_head_dim=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        **changes,
    )


def _if_noise() -> DDPMScheduler:
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.0,
        variance_type="learned_range",
    )


IF: Parts = T5 | dict(unet=_if_unet, scheduler=_if_noise, image_noising_scheduler=DDPMScheduler)
SUPER: Parts = IF | dict(unet=lambda: _if_unet(6, class_embed_type="timestep"))
SAFE: dict[str, Any] = dict(requires_safety_checker=False)


def _floats(size: int) -> torch.Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))


KANDINSKY: Parts = T5 | dict(
    unet=lambda: Kandinsky3UNet(
        in_channels=4,
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(32, 64),
        cross_attention_dim=4,
        encoder_hid_dim=32,
    ),
    movq=movq,
    scheduler=lambda: DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
)


def _if(**more: Any) -> dict[str, Any]:
    return steps(output="np", **more)


ANIMALS: dict[str, Animal] = dict(
    [
        animal(
            "StableCascadePriorPipeline", STABLE, lambda: steps(output="pt", height=128, width=128)
        ),
        animal(
            "StableCascadeDecoderPipeline",
            STABLE,
            lambda: steps(output="np", image_embeddings=torch.rand(1, 4, 4, 4), guidance_scale=2.0),
        ),
        animal(
            "StableCascadeCombinedPipeline",
            STABLE,
            lambda: steps(output="np", prior_num_inference_steps=2, height=128, width=128),
        ),
        animal("IFPipeline", IF, _if, **SAFE),
        animal("IFImg2ImgPipeline", IF, lambda: _if(image=_floats(16), strength=0.9), **SAFE),
        animal(
            "IFInpaintingPipeline",
            IF,
            lambda: _if(image=_floats(16), mask_image=_floats(16), strength=0.9),
            **SAFE,
        ),
        animal("IFSuperResolutionPipeline", SUPER, lambda: _if(image=_floats(16)), **SAFE),
        animal(
            "IFImg2ImgSuperResolutionPipeline",
            SUPER,
            lambda: _if(image=_floats(16), original_image=_floats(16)),
            **SAFE,
        ),
        animal(
            "IFInpaintingSuperResolutionPipeline",
            SUPER,
            lambda: _if(image=_floats(16), original_image=_floats(16), mask_image=_floats(16)),
            **SAFE,
        ),
        animal("Kandinsky3Pipeline", KANDINSKY, lambda: steps(height=16, width=16)),
        animal(
            "Kandinsky3Img2ImgPipeline",
            KANDINSKY,
            lambda: steps(image=picture(16), strength=0.9),
        ),
    ]
)
