"""Stable Diffusion XL and what is built on it."""

from typing import Any

from diffusers import (
    ControlNetModel,
    ControlNetUnionModel,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
)

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import (
    CLIP_2,
    SCALED_LINEAR,
    adapter,
    controlnet,
    ddim,
    motion,
    unet,
    vae,
)
from tests.zoo.inputs import call, image, inpaint, picture

WIDE: dict[str, Any] = dict(
    block_out_channels=(8, 16), cross_attention_dim=64, attention_head_dim=(2, 4), use_linear_projection=True,
    addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
    projection_class_embeddings_input_dim=8 * 6 + 32,
)  # fmt: skip
UNION_SIZES: dict[str, Any] = dict(
    num_control_type=2, num_trans_channel=8, num_trans_head=2, num_proj_channel=8
)


def _unet(**changes: Any) -> UNet2DConditionModel:
    return unet(**(WIDE | changes))


def _euler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(**SCALED_LINEAR, steps_offset=1, timestep_spacing="leading")


BASE: Parts = CLIP_2 | dict(
    unet=_unet,
    vae=vae,
    scheduler=_euler,
    controlnet=lambda: controlnet(ControlNetModel, **WIDE, norm_num_groups=2),
    adapter=lambda: adapter("full_adapter_xl", [8, 16], 4),
    motion_adapter=lambda: motion((8, 16), use_motion_mid_block=False),
)
UNION = BASE | dict(
    controlnet=lambda: controlnet(ControlNetUnionModel, **WIDE, norm_num_groups=2, **UNION_SIZES)
)
PLAIN: dict[str, Any] = dict(add_watermarker=False)
CONTROL = dict(control_image=picture())
MODE = CONTROL | dict(control_mode=[0])

ANIMALS: dict[str, Animal] = {
    **family(
        BASE,
        PLAIN,
        StableDiffusionXLPipeline=call(32),
        StableDiffusionXLImg2ImgPipeline=call(**image()),
        StableDiffusionXLInpaintPipeline=call(32, **inpaint()),
        StableDiffusionXLControlNetPipeline=call(32, image=picture()),
        StableDiffusionXLControlNetImg2ImgPipeline=call(**image(), **CONTROL),
        StableDiffusionXLControlNetInpaintPipeline=call(32, **inpaint(), **CONTROL),
    ),
    **family(
        BASE,
        dict(pag_applied_layers=["mid"]) | PLAIN,
        StableDiffusionXLPAGPipeline=call(32),
        StableDiffusionXLPAGImg2ImgPipeline=call(**image()),
        StableDiffusionXLPAGInpaintPipeline=call(32, **inpaint()),
        StableDiffusionXLControlNetPAGPipeline=call(32, image=picture()),
        StableDiffusionXLControlNetPAGImg2ImgPipeline=call(**image(), **CONTROL),
    ),
    **family(
        UNION,
        PLAIN,
        StableDiffusionXLControlNetUnionPipeline=call(32, **MODE),
        StableDiffusionXLControlNetUnionImg2ImgPipeline=call(**image(), **MODE),
        StableDiffusionXLControlNetUnionInpaintPipeline=call(32, **inpaint(), **MODE),
    ),
    **family(
        BASE | dict(unet=lambda: _unet(in_channels=8)),
        PLAIN,
        StableDiffusionXLInstructPix2PixPipeline=call(32, image=picture()),
    ),
    **family(BASE, StableDiffusionXLAdapterPipeline=call(32, image=picture())),
    **family(BASE | dict(scheduler=ddim), AnimateDiffSDXLPipeline=call(32, num_frames=2)),
}
