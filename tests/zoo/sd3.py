"""Stable Diffusion 3 and what is built on it."""

from functools import partial
from typing import Any

import torch
from diffusers import SD3ControlNetModel, SD3Transformer2DModel

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, PROJECTED_2, flow_vae, t5_slot
from tests.zoo.inputs import call, image, inpaint, picture

SIZES: dict[str, Any] = dict(
    sample_size=32, patch_size=1, in_channels=16, out_channels=16, num_layers=2, attention_head_dim=8,
    num_attention_heads=4, joint_attention_dim=64, caption_projection_dim=32, pooled_projection_dim=64,
)  # fmt: skip
BASE: Parts = (
    PROJECTED_2
    | t5_slot(3, 64)
    | FLOW
    | dict(
        transformer=lambda: SD3Transformer2DModel(**SIZES),
        vae=lambda: flow_vae(16),
        controlnet=lambda: SD3ControlNetModel(**SIZES),
    )
)
MASKED = BASE | dict(controlnet=lambda: SD3ControlNetModel(**SIZES, extra_conditioning_channels=1))
_call = partial(call, 16, max_sequence_length=24)


def _inpaint() -> dict[str, Any]:
    control = torch.rand(1, 3, 16, 16)
    return _call(control_image=control, control_mask=torch.ones(1, 1, 16, 16))()


ANIMALS: dict[str, Animal] = {
    **family(
        BASE,
        StableDiffusion3Pipeline=_call(),
        StableDiffusion3Img2ImgPipeline=_call(**image(16)),
        StableDiffusion3InpaintPipeline=_call(**inpaint(16)),
        StableDiffusion3ControlNetPipeline=_call(control_image=picture(16)),
    ),
    **family(
        BASE,
        dict(pag_applied_layers=["blocks.1"]),
        StableDiffusion3PAGPipeline=_call(),
        StableDiffusion3PAGImg2ImgPipeline=_call(**image(16)),
    ),
    **family(MASKED, StableDiffusion3ControlNetInpaintingPipeline=_inpaint),
}
