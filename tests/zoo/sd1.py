"""Stable Diffusion 1 and 2 and what is built on them."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    ControlNetModel,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    LEditsPPPipelineStableDiffusion,
    MotionAdapter,
    PriorTransformer,
    SparseControlNetModel,
    T2IAdapter,
)
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
    StableUnCLIPImageNormalizer,
)

from pipelines.tiny import clip_tokenizer, projected
from tests.zoo.animal import Animal, Parts, animal, assemble
from tests.zoo.components import (
    CLIP,
    SCALED_LINEAR,
    ddim,
    image_processor,
    unet,
    vae,
    vision_encoder,
)
from tests.zoo.inputs import film, mask, picture, steps


def _controlnet() -> ControlNetModel:
    return ControlNetModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        in_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        conditioning_embedding_out_channels=(4, 8),
        norm_num_groups=1,
    )


def _sparse_controlnet() -> SparseControlNetModel:
    return SparseControlNetModel(
        block_out_channels=(8, 8),
        layers_per_block=1,
        in_channels=4,
        conditioning_channels=4,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        cross_attention_dim=32,
        conditioning_embedding_out_channels=(8, 8),
        norm_num_groups=1,
        use_simplified_condition_embedding=True,
    )


def _wide_controlnet() -> ControlNetModel:
    return ControlNetModel.from_config(_controlnet().config, block_out_channels=(8, 8))


def _motion() -> MotionAdapter:
    return MotionAdapter(
        block_out_channels=(8, 8),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
    )


def _adapter() -> T2IAdapter:
    return T2IAdapter(
        in_channels=3,
        channels=[4, 8],
        num_res_blocks=1,
        downscale_factor=2,
        adapter_type="full_adapter",
    )


def _k_unet() -> Any:
    return unet(
        act_fn="gelu",
        attention_head_dim=8,
        norm_num_groups=None,
        block_out_channels=(32, 32, 64, 64),
        time_cond_proj_dim=128 + 32,
        conv_in_kernel=1,
        conv_out_kernel=1,
        down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3),
        up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
        in_channels=8,
        out_channels=5,
        mid_block_type=None,
        only_cross_attention=False,
        resnet_time_scale_shift="scale_shift",
        time_embedding_type="fourier",
        timestep_post_act="gelu",
    )


def _unclip_unet() -> Any:
    return unet(class_embed_type="projection", projection_class_embeddings_input_dim=64)


def _cosine(**changes: Any) -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", **changes)


def _prior_noise() -> DDPMScheduler:
    return _cosine(
        variance_type="fixed_small_log",
        prediction_type="sample",
        clip_sample=True,
        clip_sample_range=5.0,
    )


BASE: Parts = CLIP | dict(unet=unet, vae=vae, scheduler=ddim, controlnet=_controlnet)
LCM = BASE | dict(
    unet=lambda: unet(time_cond_proj_dim=32), scheduler=lambda: LCMScheduler(**SCALED_LINEAR)
)
MOVING = BASE | dict(
    unet=lambda: unet(block_out_channels=(8, 8)),
    motion_adapter=_motion,
    controlnet=_wide_controlnet,
)
UNCLIP = BASE | dict(
    prior_tokenizer=clip_tokenizer,
    prior_text_encoder=lambda: projected(1),
    prior=lambda: PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1
    ),
    prior_scheduler=_prior_noise,
    feature_extractor=image_processor,
    image_encoder=vision_encoder,
    image_normalizer=lambda: StableUnCLIPImageNormalizer(embedding_dim=32),
    image_noising_scheduler=_cosine,
    unet=_unclip_unet,
)
UPSCALE = BASE | dict(
    unet=lambda: unet(in_channels=7, num_class_embeds=1000), low_res_scheduler=DDPMScheduler
)
ADAPTED = ("CrossAttnDownBlock2D", "DownBlock2D")
SAFE: dict[str, Any] = dict(requires_safety_checker=False)
PAG: dict[str, Any] = dict(pag_applied_layers=["mid"]) | SAFE


def _text() -> dict[str, Any]:
    return steps(height=32, width=32)


def _image() -> dict[str, Any]:
    return steps(image=picture(), strength=0.9)


def _inpaint() -> dict[str, Any]:
    return _image() | dict(mask_image=mask(), height=32, width=32)


def _with(call: Callable[[], dict[str, Any]], *names: str) -> Callable[[], dict[str, Any]]:
    """`call` and a picture under each of the names."""
    return lambda: call() | {name: picture() for name in names}


def _sde() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(
        **SCALED_LINEAR, algorithm_type="sde-dpmsolver++", solver_order=2, steps_offset=1
    )


def _ledits() -> Any:
    """With a picture inverted, which its call edits."""
    parts = BASE | dict(scheduler=_sde)
    pipe = assemble(LEditsPPPipelineStableDiffusion, parts, SAFE)
    generator = torch.Generator().manual_seed(0)
    pipe.invert(picture(), num_inversion_steps=4, skip=0.25, generator=generator)
    return pipe


def _edit() -> dict[str, Any]:
    return dict(output_type="latent", edit_threshold=0.5, use_intersect_mask=False)


def _film() -> dict[str, Any]:
    return steps(height=32, width=32, num_frames=2)


def _refilm() -> dict[str, Any]:
    return steps(height=32, width=32, video=film(2), strength=0.9)


ANIMALS: dict[str, Animal] = dict(
    [
        animal("StableDiffusionPipeline", BASE, _text, **SAFE),
        (
            "LEditsPPPipelineStableDiffusion",
            Animal("LEditsPPPipelineStableDiffusion", _ledits, _edit, "editing_prompt"),
        ),
        animal("StableDiffusionImg2ImgPipeline", BASE, _image, **SAFE),
        animal("StableDiffusionInpaintPipeline", BASE, _inpaint, **SAFE),
        animal(
            "StableDiffusionDepth2ImgPipeline",
            BASE | dict(unet=lambda: unet(in_channels=5)),
            lambda: _image() | dict(depth_map=torch.rand(1, 32, 32)),
        ),
        animal(
            "StableDiffusionInstructPix2PixPipeline",
            BASE | dict(unet=lambda: unet(in_channels=8)),
            lambda: steps(image=picture()),
            **SAFE,
        ),
        animal("StableDiffusionUpscalePipeline", UPSCALE, lambda: steps(image=picture(16))),
        animal(
            "StableDiffusionLatentUpscalePipeline",
            BASE
            | dict(
                unet=_k_unet,
                vae=lambda: vae(blocks=4),
                scheduler=lambda: EulerDiscreteScheduler(prediction_type="sample"),
            ),
            lambda: steps(image=torch.rand(1, 4, 8, 8)),
        ),
        animal("StableUnCLIPPipeline", UNCLIP, lambda: _text() | dict(prior_num_inference_steps=2)),
        animal("StableUnCLIPImg2ImgPipeline", UNCLIP, _with(_text, "image")),
        animal("LatentConsistencyModelPipeline", LCM, _text, **SAFE),
        animal("LatentConsistencyModelImg2ImgPipeline", LCM, _image, **SAFE),
        animal("StableDiffusionControlNetPipeline", BASE, _with(_text, "image"), **SAFE),
        animal(
            "StableDiffusionControlNetImg2ImgPipeline",
            BASE,
            _with(_image, "control_image"),
            **SAFE,
        ),
        animal(
            "StableDiffusionControlNetInpaintPipeline",
            BASE,
            _with(_inpaint, "control_image"),
            **SAFE,
        ),
        animal("StableDiffusionPAGPipeline", BASE, _text, **PAG),
        animal("StableDiffusionPAGImg2ImgPipeline", BASE, _image, **PAG),
        animal("StableDiffusionPAGInpaintPipeline", BASE, _inpaint, **PAG),
        animal("StableDiffusionControlNetPAGPipeline", BASE, _with(_text, "image"), **PAG),
        animal(
            "StableDiffusionControlNetPAGInpaintPipeline",
            BASE,
            _with(_inpaint, "control_image"),
            **PAG,
        ),
        animal(
            "StableDiffusionAdapterPipeline",
            BASE | dict(adapter=_adapter, unet=lambda: unet(down_block_types=ADAPTED)),
            _with(_text, "image"),
            **SAFE,
        ),
        animal("AnimateDiffPipeline", MOVING, _film),
        animal("AnimateDiffPAGPipeline", MOVING, _film, pag_applied_layers=["mid"]),
        animal(
            "AnimateDiffControlNetPipeline",
            MOVING,
            lambda: _film() | dict(conditioning_frames=film(2)),
        ),
        animal(
            "AnimateDiffSparseControlNetPipeline",
            MOVING | dict(controlnet=_sparse_controlnet),
            lambda: _film() | dict(conditioning_frames=film(1), controlnet_frame_indices=[0]),
        ),
        animal("AnimateDiffVideoToVideoPipeline", MOVING, _refilm),
        animal(
            "AnimateDiffVideoToVideoControlNetPipeline",
            MOVING,
            lambda: _refilm() | dict(conditioning_frames=film(2)),
        ),
    ]
)
