"""Families with Qwen2.5-VL: Kandinsky 5 and 6, HunyuanVideo 1.5, HunyuanImage 2.1."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanImage,
    AutoencoderKLHunyuanVideo15,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    HunyuanImageTransformer2DModel,
    HunyuanVideo15Transformer3DModel,
    Kandinsky5Transformer3DModel,
    Kandinsky6Transformer3DModel,
    QwenImageControlNetModel,
    QwenImageTransformer2DModel,
)
from diffusers.guiders import AdaptiveProjectedMixGuidance, ClassifierFreeGuidance

from tests.doubles import clip_tokenizer, tiny_text_encoder
from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, flow_vae, siglip, siglip_processor, slot
from tests.zoo.hunyuan import hunyuan_video_vae
from tests.zoo.inputs import call, image, inpaint, mask, picture
from tests.zoo.language_models import (
    byte_encoder,
    byte_tokenizer,
    qwen,
    qwen_processor,
    qwen_text,
    qwen_tokenizer,
)

KANDINSKY: dict[str, Any] = dict(
    in_visual_dim=4, out_visual_dim=4, in_text_dim=32, in_text_dim2=32, time_dim=16, model_dim=16, ff_dim=24,
    num_text_blocks=1, num_visual_blocks=1, axes_dims=(4, 2, 2),
)  # fmt: skip
HUNYUAN: dict[str, Any] = dict(
    num_attention_heads=2, attention_head_dim=8, num_layers=1, num_refiner_layers=1, out_channels=4,
    text_embed_dim=32, text_embed_2_dim=32,
)  # fmt: skip


def trained(denoiser: torch.nn.Module) -> torch.nn.Module:
    """Without the zeros that it begins with, which hide the text."""
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return denoiser


def _kandinsky(kind: type = Kandinsky5Transformer3DModel, **changes: Any) -> Parts:
    texts = slot(1, lambda: qwen(32), qwen_processor) | slot(2, tiny_text_encoder, clip_tokenizer)
    return texts | dict(
        transformer=lambda: trained(kind(**(KANDINSKY | changes))),
        vae=hunyuan_video_vae,
        scheduler=lambda: FlowMatchEulerDiscreteScheduler(shift=5.0),
    )


def _glyphs(encoder: Any) -> Parts:
    """The encoder, and ByT5 for what is in quotes."""
    byt5 = slot(2, lambda: byte_encoder(32), byte_tokenizer)
    return slot(1, lambda: encoder(32), qwen_tokenizer) | byt5 | FLOW


VIDEO: Parts = _glyphs(qwen_text) | dict(
    transformer=lambda: HunyuanVideo15Transformer3DModel(
        **HUNYUAN, in_channels=9, image_embed_dim=32, rope_axes_dim=(2, 2, 4), target_size=32
    ),
    vae=lambda: AutoencoderKLHunyuanVideo15(
        latent_channels=4, block_out_channels=(8, 8, 8, 8, 8), layers_per_block=1
    ),
    guider=ClassifierFreeGuidance,
    image_encoder=siglip,
    feature_extractor=siglip_processor,
)
IMAGE: Parts = _glyphs(qwen) | dict(
    transformer=lambda: HunyuanImageTransformer2DModel(
        **HUNYUAN, in_channels=4, num_single_layers=1, rope_axes_dim=(4, 4)
    ),
    vae=lambda: AutoencoderKLHunyuanImage(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(32, 32), layers_per_block=1,
        spatial_compression_ratio=2, sample_size=16,
    ),
    guider=AdaptiveProjectedMixGuidance,
    ocr_guider=lambda: AdaptiveProjectedMixGuidance(guidance_scale=2.0),
)  # fmt: skip
QWEN_SIZES: dict[str, Any] = dict(
    patch_size=2, in_channels=64, out_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=2,
    joint_attention_dim=32, axes_dims_rope=(4, 2, 2),
)  # fmt: skip
QWEN_IMAGE: Parts = (
    slot(1, lambda: qwen(32), qwen_tokenizer)
    | FLOW
    | dict(
        transformer=lambda: QwenImageTransformer2DModel(**QWEN_SIZES),
        vae=lambda: AutoencoderKLQwenImage(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
    )
)


# a small autoencoder: pictures to be changed are brought to a million pixels
SEEING: Parts = QWEN_IMAGE | dict(
    processor=qwen_processor,
    vae=lambda: AutoencoderKLQwenImage(base_dim=2, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
)


def _controlled(**changes: Any) -> Parts:
    return QWEN_IMAGE | dict(
        controlnet=lambda: trained(QwenImageControlNetModel(**(QWEN_SIZES | changes)))
    )


SIX = _kandinsky(Kandinsky6Transformer3DModel, in_audio_dim=4, out_audio_dim=4)
_film = partial(call, 16)

ANIMALS: dict[str, Animal] = {
    **family(_kandinsky(), Kandinsky5T2VPipeline=_film(num_frames=5)),
    **family(
        _kandinsky(visual_cond=True),
        Kandinsky5I2VPipeline=_film(num_frames=17, image=picture(16)),
    ),
    **family(
        _kandinsky() | dict(vae=lambda: flow_vae(4, 4)),
        dict(resolutions=[(32, 32)]),
        Kandinsky5T2IPipeline=call(32),
    ),
    **family(SIX, Kandinsky6TI2VAPipeline=_film(num_frames=5, sample_audio=False)),
    **family(
        VIDEO,
        HunyuanVideo15Pipeline=call(32, count=1, num_frames=5),
        HunyuanVideo15ImageToVideoPipeline=call(count=1, image=picture(), num_frames=5),
    ),
    **family(
        QWEN_IMAGE,
        QwenImagePipeline=call(32),
        QwenImageImg2ImgPipeline=call(32, **image()),
        QwenImageInpaintPipeline=call(32, **inpaint()),
    ),
    **family(_controlled(), QwenImageControlNetPipeline=call(32, control_image=picture())),
    **family(
        _controlled(extra_condition_channels=4),
        QwenImageControlNetInpaintPipeline=call(32, control_image=picture(), control_mask=mask()),
    ),
    **family(
        SEEING,
        QwenImageEditPipeline=call(32, image=picture()),
        QwenImageEditPlusPipeline=call(32, image=[picture(), picture(24)]),
        QwenImageEditInpaintPipeline=call(32, **inpaint()),
    ),
    **family(IMAGE, HunyuanImagePipeline=call(16, count=1)),
}
