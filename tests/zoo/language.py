"""Families with Qwen2.5-VL: Kandinsky 5 and 6, HunyuanVideo 1.5, HunyuanImage 2.1."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanImage,
    AutoencoderKLHunyuanVideo15,
    FlowMatchEulerDiscreteScheduler,
    HunyuanImageTransformer2DModel,
    HunyuanVideo15Transformer3DModel,
    Kandinsky5Transformer3DModel,
    Kandinsky6Transformer3DModel,
)
from diffusers.guiders import AdaptiveProjectedMixGuidance, ClassifierFreeGuidance
from transformers import SiglipImageProcessorPil

from pipelines.tiny import clip_tokenizer, tiny_text_encoder
from tests.zoo.animal import Animal, Parts, animal, resized
from tests.zoo.components import flow_vae, siglip
from tests.zoo.hunyuan import hunyuan_video_vae
from tests.zoo.inputs import picture, steps
from tests.zoo.language_models import (
    byte_encoder,
    byte_tokenizer,
    qwen,
    qwen_processor,
    qwen_text,
    qwen_tokenizer,
)

KANDINSKY: dict[str, Any] = dict(
    in_visual_dim=4,
    out_visual_dim=4,
    in_text_dim=32,
    in_text_dim2=32,
    time_dim=16,
    model_dim=16,
    ff_dim=24,
    num_text_blocks=1,
    num_visual_blocks=1,
    axes_dims=(4, 2, 2),
)
QWEN: Parts = dict(
    text_encoder=lambda: qwen(32),
    tokenizer=qwen_processor,
    text_encoder_2=tiny_text_encoder,
    tokenizer_2=clip_tokenizer,
    scheduler=lambda: FlowMatchEulerDiscreteScheduler(shift=5.0),
)


def _trained(denoiser: torch.nn.Module) -> torch.nn.Module:
    """Without the zeros that it begins with, which hide the text."""
    for parameter in denoiser.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return denoiser


def _kandinsky(kind: type = Kandinsky5Transformer3DModel, **changes: Any) -> Parts:
    return QWEN | dict(
        transformer=lambda: _trained(kind(**(KANDINSKY | changes))),
        vae=lambda: hunyuan_video_vae(4),
    )


def _film(frames: int = 5, **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: steps(height=16, width=16, num_frames=frames, **more)


HUNYUAN: dict[str, Any] = dict(
    num_attention_heads=2,
    num_layers=1,
    num_refiner_layers=1,
    text_embed_dim=32,
    text_embed_2_dim=32,
)
GLYPHS: Parts = dict(
    tokenizer=qwen_tokenizer,
    text_encoder_2=lambda: byte_encoder(32),
    tokenizer_2=byte_tokenizer,
    scheduler=FlowMatchEulerDiscreteScheduler,
)
VIDEO: Parts = GLYPHS | dict(
    text_encoder=lambda: qwen_text(32),
    transformer=lambda: HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        attention_head_dim=8,
        image_embed_dim=32,
        rope_axes_dim=(2, 2, 4),
        target_size=32,
        **HUNYUAN,
    ),
    vae=lambda: AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8, 8),
        layers_per_block=1,
    ),
    guider=ClassifierFreeGuidance,
    image_encoder=siglip,
    feature_extractor=lambda: SiglipImageProcessorPil(size={"height": 32, "width": 32}),
)
IMAGE: Parts = GLYPHS | dict(
    text_encoder=lambda: qwen(32),
    transformer=lambda: HunyuanImageTransformer2DModel(
        in_channels=4,
        out_channels=4,
        attention_head_dim=8,
        num_single_layers=1,
        rope_axes_dim=(4, 4),
        **HUNYUAN,
    ),
    vae=lambda: AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(32, 32),
        layers_per_block=1,
        spatial_compression_ratio=2,
        sample_size=16,
    ),
    guider=AdaptiveProjectedMixGuidance,
    ocr_guider=lambda: AdaptiveProjectedMixGuidance(guidance_scale=2.0),
)


ANIMALS: dict[str, Animal] = dict(
    [
        animal("Kandinsky5T2VPipeline", _kandinsky(), _film()),
        animal(
            "Kandinsky5I2VPipeline",
            _kandinsky(visual_cond=True),
            _film(17, image=picture(16)),
        ),
        resized(
            animal(
                "Kandinsky5T2IPipeline",
                _kandinsky() | dict(vae=lambda: flow_vae(4, 4)),
                lambda: steps(height=32, width=32),
            ),
            resolutions=[(32, 32)],
        ),
        animal(
            "Kandinsky6TI2VAPipeline",
            _kandinsky(Kandinsky6Transformer3DModel, in_audio_dim=4, out_audio_dim=4),
            _film(sample_audio=False),
        ),
        animal(
            "HunyuanVideo15Pipeline", VIDEO, lambda: steps(1, height=32, width=32, num_frames=5)
        ),
        animal(
            "HunyuanVideo15ImageToVideoPipeline",
            VIDEO,
            lambda: steps(1, image=picture(), num_frames=5),
        ),
        animal("HunyuanImagePipeline", IMAGE, lambda: steps(1, height=16, width=16)),
    ]
)
