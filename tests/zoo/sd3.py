"""Stable Diffusion 3 and what is built on it."""

from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3ControlNetModel, SD3Transformer2DModel

from pipelines.tiny import clip_tokenizer, projected, t5_encoder, t5_tokenizer
from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import flow_vae
from tests.zoo.inputs import mask, picture, steps

SIZES: dict[str, Any] = dict(
    sample_size=32,
    patch_size=1,
    in_channels=16,
    out_channels=16,
    num_layers=2,
    attention_head_dim=8,
    num_attention_heads=4,
    joint_attention_dim=64,
    caption_projection_dim=32,
    pooled_projection_dim=64,
)
BASE: Parts = dict(
    transformer=lambda: SD3Transformer2DModel(**SIZES),
    scheduler=FlowMatchEulerDiscreteScheduler,
    vae=lambda: flow_vae(16),
    text_encoder=lambda: projected(0),
    tokenizer=clip_tokenizer,
    text_encoder_2=lambda: projected(1),
    tokenizer_2=lambda: clip_tokenizer("!"),
    text_encoder_3=lambda: t5_encoder(64),
    tokenizer_3=t5_tokenizer,
    controlnet=lambda: SD3ControlNetModel(**SIZES),
)
MASKED = BASE | dict(controlnet=lambda: SD3ControlNetModel(**SIZES, extra_conditioning_channels=1))
PAG: dict[str, Any] = dict(pag_applied_layers=["blocks.1"])


def _text() -> dict[str, Any]:
    return steps(height=16, width=16, max_sequence_length=24)


def _image() -> dict[str, Any]:
    return _text() | dict(image=picture(16), strength=0.9)


ANIMALS: dict[str, Animal] = dict(
    [
        animal("StableDiffusion3Pipeline", BASE, _text),
        animal("StableDiffusion3Img2ImgPipeline", BASE, _image),
        animal(
            "StableDiffusion3InpaintPipeline",
            BASE,
            lambda: _image() | dict(mask_image=mask(16)),
        ),
        animal("StableDiffusion3PAGPipeline", BASE, _text, **PAG),
        animal("StableDiffusion3PAGImg2ImgPipeline", BASE, _image, **PAG),
        animal(
            "StableDiffusion3ControlNetPipeline",
            BASE,
            lambda: _text() | dict(control_image=picture(16)),
        ),
        animal(
            "StableDiffusion3ControlNetInpaintingPipeline",
            MASKED,
            lambda: (
                _text()
                | dict(
                    control_image=torch.rand(1, 3, 16, 16), control_mask=torch.ones(1, 1, 16, 16)
                )
            ),
        ),
    ]
)
