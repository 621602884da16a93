"""Stable Diffusion 1 and 2 and what is built on them."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    ControlNetModel,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    LEditsPPPipelineStableDiffusion,
    PriorTransformer,
    SparseControlNetModel,
)
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
    StableUnCLIPImageNormalizer,
)

from tests.zoo.animal import Animal, Parts, assemble, family
from tests.zoo.components import (
    CLIP,
    PROJECTED,
    SAFE,
    SCALED_LINEAR,
    adapter,
    controlnet,
    ddim,
    image_processor,
    motion,
    unet,
    vae,
    vision_encoder,
)
from tests.zoo.inputs import call, film, image, inpaint, picture, steps


def _controlnet(*channels: int) -> ControlNetModel:
    sizes = dict(cross_attention_dim=32, attention_head_dim=2, norm_num_groups=1)
    return controlnet(ControlNetModel, block_out_channels=channels, **sizes)


def _sparse_controlnet() -> SparseControlNetModel:
    return SparseControlNetModel(
        block_out_channels=(8, 8), layers_per_block=1, in_channels=4, conditioning_channels=4,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"), cross_attention_dim=32,
        conditioning_embedding_out_channels=(8, 8), norm_num_groups=1, use_simplified_condition_embedding=True,
    )  # fmt: skip


def _k_unet() -> Any:
    return unet(
        act_fn="gelu", attention_head_dim=8, norm_num_groups=None, block_out_channels=(32, 32, 64, 64),
        time_cond_proj_dim=128 + 32, conv_in_kernel=1, conv_out_kernel=1,
        down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3),
        up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
        in_channels=8, out_channels=5, mid_block_type=None, only_cross_attention=False,
        resnet_time_scale_shift="scale_shift", time_embedding_type="fourier", timestep_post_act="gelu",
    )  # fmt: skip


_cosine = partial(DDPMScheduler, beta_schedule="squaredcos_cap_v2")
BASE: Parts = CLIP | dict(unet=unet, vae=vae, scheduler=ddim, controlnet=lambda: _controlnet(4, 8))
LCM = BASE | dict(
    unet=lambda: unet(time_cond_proj_dim=32), scheduler=lambda: LCMScheduler(**SCALED_LINEAR)
)
MOVING = BASE | dict(
    unet=lambda: unet(block_out_channels=(8, 8)),
    motion_adapter=lambda: motion((8, 8)),
    controlnet=lambda: _controlnet(8, 8),
)
UNCLIP = BASE | dict(
    prior_tokenizer=PROJECTED["tokenizer"],
    prior_text_encoder=PROJECTED["text_encoder"],
    prior=lambda: PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1
    ),
    prior_scheduler=lambda: _cosine(
        variance_type="fixed_small_log", prediction_type="sample", clip_sample=True, clip_sample_range=5.0
    ),
    feature_extractor=image_processor,
    image_encoder=vision_encoder,
    image_normalizer=lambda: StableUnCLIPImageNormalizer(embedding_dim=32),
    image_noising_scheduler=_cosine,
    unet=lambda: unet(class_embed_type="projection", projection_class_embeddings_input_dim=64),
)  # fmt: skip
UPSCALE = BASE | dict(
    unet=lambda: unet(in_channels=7, num_class_embeds=1000), low_res_scheduler=DDPMScheduler
)
LATENT_UPSCALE = BASE | dict(
    unet=_k_unet,
    vae=lambda: vae(blocks=4),
    scheduler=lambda: EulerDiscreteScheduler(prediction_type="sample"),
)
ADAPTED = BASE | dict(
    adapter=lambda: adapter("full_adapter", [4, 8], 2),
    unet=lambda: unet(down_block_types=("CrossAttnDownBlock2D", "DownBlock2D")),
)
PAG: dict[str, Any] = dict(pag_applied_layers=["mid"]) | SAFE
CONTROL = dict(control_image=picture())
_film = partial(call, 32, num_frames=2)
_refilm = partial(call, 32, video=film(2), strength=0.9)


def _ledits() -> Any:
    """With a picture inverted, which its call edits."""
    scheduler = partial(
        DPMSolverMultistepScheduler,
        **SCALED_LINEAR, algorithm_type="sde-dpmsolver++", solver_order=2, steps_offset=1,
    )  # fmt: skip
    pipe = assemble(LEditsPPPipelineStableDiffusion, BASE | dict(scheduler=scheduler), SAFE)
    generator = torch.Generator().manual_seed(0)
    pipe.invert(picture(), num_inversion_steps=4, skip=0.25, generator=generator)
    return pipe


def _edit() -> dict[str, Any]:
    return dict(output_type="latent", edit_threshold=0.5, use_intersect_mask=False)


LEDITS = "LEditsPPPipelineStableDiffusion"
ANIMALS: dict[str, Animal] = {
    LEDITS: Animal(LEDITS, _ledits, _edit, "editing_prompt"),
    **family(
        BASE,
        SAFE,
        StableDiffusionPipeline=call(32),
        StableDiffusionImg2ImgPipeline=call(**image()),
        StableDiffusionInpaintPipeline=call(32, **inpaint()),
        StableDiffusionControlNetPipeline=call(32, image=picture()),
        StableDiffusionControlNetImg2ImgPipeline=call(**image(), **CONTROL),
        StableDiffusionControlNetInpaintPipeline=call(32, **inpaint(), **CONTROL),
    ),
    **family(
        BASE,
        PAG,
        StableDiffusionPAGPipeline=call(32),
        StableDiffusionPAGImg2ImgPipeline=call(**image()),
        StableDiffusionPAGInpaintPipeline=call(32, **inpaint()),
        StableDiffusionControlNetPAGPipeline=call(32, image=picture()),
        StableDiffusionControlNetPAGInpaintPipeline=call(32, **inpaint(), **CONTROL),
    ),
    **family(
        BASE | dict(unet=lambda: unet(in_channels=5)),
        StableDiffusionDepth2ImgPipeline=lambda: steps(**image(), depth_map=torch.rand(1, 32, 32)),
    ),
    **family(
        BASE | dict(unet=lambda: unet(in_channels=8)),
        SAFE,
        StableDiffusionInstructPix2PixPipeline=call(image=picture()),
    ),
    **family(UPSCALE, StableDiffusionUpscalePipeline=call(image=picture(16))),
    **family(
        LATENT_UPSCALE,
        StableDiffusionLatentUpscalePipeline=lambda: steps(image=torch.rand(1, 4, 8, 8)),
    ),
    **family(
        UNCLIP,
        StableUnCLIPPipeline=call(32, prior_num_inference_steps=2),
        StableUnCLIPImg2ImgPipeline=call(32, image=picture()),
    ),
    **family(
        LCM,
        SAFE,
        LatentConsistencyModelPipeline=call(32),
        LatentConsistencyModelImg2ImgPipeline=call(**image()),
    ),
    **family(ADAPTED, SAFE, StableDiffusionAdapterPipeline=call(32, image=picture())),
    **family(
        MOVING,
        AnimateDiffPipeline=_film(),
        AnimateDiffControlNetPipeline=_film(conditioning_frames=film(2)),
        AnimateDiffVideoToVideoPipeline=_refilm(),
        AnimateDiffVideoToVideoControlNetPipeline=_refilm(conditioning_frames=film(2)),
    ),
    **family(MOVING, dict(pag_applied_layers=["mid"]), AnimateDiffPAGPipeline=_film()),
    **family(
        MOVING | dict(controlnet=_sparse_controlnet),
        AnimateDiffSparseControlNetPipeline=_film(
            conditioning_frames=film(1), controlnet_frame_indices=[0]
        ),
    ),
}
