"""Stable Diffusion XL and what is built on it."""

from collections.abc import Callable
from typing import Any

from diffusers import (
    ControlNetModel,
    ControlNetUnionModel,
    EulerDiscreteScheduler,
    MotionAdapter,
    T2IAdapter,
    UNet2DConditionModel,
)

from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import CLIP_2, SCALED_LINEAR, ddim, unet, vae
from tests.zoo.inputs import mask, picture, steps

WIDE: dict[str, Any] = dict(
    block_out_channels=(8, 16),
    cross_attention_dim=64,
    attention_head_dim=(2, 4),
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=8,
    transformer_layers_per_block=(1, 2),
    projection_class_embeddings_input_dim=8 * 6 + 32,
)


def _unet(**changes: Any) -> UNet2DConditionModel:
    return unet(**(WIDE | changes))


def _controlnet(kind: type = ControlNetModel, **changes: Any) -> Any:
    return kind(
        **WIDE,
        layers_per_block=1,
        in_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        conditioning_embedding_out_channels=(4, 8),
        norm_num_groups=2,
        **changes,
    )


def _union() -> ControlNetUnionModel:
    return _controlnet(
        ControlNetUnionModel,
        num_control_type=2,
        num_trans_channel=8,
        num_trans_head=2,
        num_proj_channel=8,
    )


def _adapter() -> T2IAdapter:
    return T2IAdapter(
        in_channels=3,
        channels=[8, 16],
        num_res_blocks=1,
        downscale_factor=4,
        adapter_type="full_adapter_xl",
    )


def _motion() -> MotionAdapter:
    return MotionAdapter(
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
        use_motion_mid_block=False,
    )


def _euler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(**SCALED_LINEAR, steps_offset=1, timestep_spacing="leading")


BASE: Parts = CLIP_2 | dict(
    unet=_unet,
    vae=vae,
    scheduler=_euler,
    controlnet=_controlnet,
    adapter=_adapter,
    motion_adapter=_motion,
)
UNION = BASE | dict(controlnet=_union)
PLAIN: dict[str, Any] = dict(add_watermarker=False)
PAG: dict[str, Any] = dict(pag_applied_layers=["mid"]) | PLAIN


def _text() -> dict[str, Any]:
    return steps(height=32, width=32)


def _image() -> dict[str, Any]:
    return steps(image=picture(), strength=0.9)


def _inpaint() -> dict[str, Any]:
    return _image() | dict(mask_image=mask(), height=32, width=32)


def _with(
    call: Callable[[], dict[str, Any]], *names: str, **more: Any
) -> Callable[[], dict[str, Any]]:
    """`call` and a picture under each of the names."""
    return lambda: call() | {name: picture() for name in names} | more


ANIMALS: dict[str, Animal] = dict(
    [
        animal("StableDiffusionXLPipeline", BASE, _text, **PLAIN),
        animal("StableDiffusionXLImg2ImgPipeline", BASE, _image, **PLAIN),
        animal("StableDiffusionXLInpaintPipeline", BASE, _inpaint, **PLAIN),
        animal(
            "StableDiffusionXLInstructPix2PixPipeline",
            BASE | dict(unet=lambda: _unet(in_channels=8)),
            _with(_text, "image"),
            **PLAIN,
        ),
        animal("StableDiffusionXLControlNetPipeline", BASE, _with(_text, "image"), **PLAIN),
        animal(
            "StableDiffusionXLControlNetImg2ImgPipeline",
            BASE,
            _with(_image, "control_image"),
            **PLAIN,
        ),
        animal(
            "StableDiffusionXLControlNetInpaintPipeline",
            BASE,
            _with(_inpaint, "control_image"),
            **PLAIN,
        ),
        animal(
            "StableDiffusionXLControlNetUnionPipeline",
            UNION,
            _with(_text, "control_image", control_mode=[0]),
            **PLAIN,
        ),
        animal(
            "StableDiffusionXLControlNetUnionImg2ImgPipeline",
            UNION,
            _with(_image, "control_image", control_mode=[0]),
            **PLAIN,
        ),
        animal(
            "StableDiffusionXLControlNetUnionInpaintPipeline",
            UNION,
            _with(_inpaint, "control_image", control_mode=[0]),
            **PLAIN,
        ),
        animal("StableDiffusionXLPAGPipeline", BASE, _text, **PAG),
        animal("StableDiffusionXLPAGImg2ImgPipeline", BASE, _image, **PAG),
        animal("StableDiffusionXLPAGInpaintPipeline", BASE, _inpaint, **PAG),
        animal("StableDiffusionXLControlNetPAGPipeline", BASE, _with(_text, "image"), **PAG),
        animal(
            "StableDiffusionXLControlNetPAGImg2ImgPipeline",
            BASE,
            _with(_image, "control_image"),
            **PAG,
        ),
        animal("StableDiffusionXLAdapterPipeline", BASE, _with(_text, "image"), **PLAIN),
        animal(
            "AnimateDiffSDXLPipeline",
            BASE | dict(scheduler=ddim),
            lambda: _text() | dict(num_frames=2),
        ),
    ]
)
