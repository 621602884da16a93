"""Tencent's families and HiDream: CLIP or T5 beside BERT, Llama or Qwen."""

from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    HiDreamImageTransformer2DModel,
    HunyuanVideoFramepackTransformer3DModel,
    HunyuanVideoTransformer3DModel,
)
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    LlamaForCausalLM,
    SiglipImageProcessorPil,
)

from pipelines.tiny import (
    WORDS,
    clip_tokenizer,
    projected,
    t5_encoder,
    t5_tokenizer,
    tiny_text_encoder,
)
from tests.zoo.animal import Animal, Parts, animal, resized
from tests.zoo.components import flow_vae, siglip, vae
from tests.zoo.inputs import picture, steps
from tests.zoo.language_models import llama, llama_tokenizer


def bert_tokenizer() -> BertTokenizer:
    """A real BertTokenizer over `WORDS`."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)}, model_max_length=77)


def _bert() -> BertModel:
    return BertModel(
        BertConfig(
            vocab_size=len(WORDS) + 5,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=37,
        )
    )


DIT: dict[str, Any] = dict(
    sample_size=16,
    patch_size=2,
    attention_head_dim=8,
    num_attention_heads=3,
    in_channels=4,
    cross_attention_dim=32,
    cross_attention_dim_t5=32,
    pooled_projection_dim=16,
    hidden_size=24,
    activation_fn="gelu-approximate",
)
HUNYUAN: Parts = dict(
    transformer=lambda: diffusers.HunyuanDiT2DModel(**DIT, num_layers=4),
    controlnet=lambda: diffusers.HunyuanDiT2DControlNetModel(**DIT, transformer_num_layers=4),
    vae=vae,
    scheduler=DDPMScheduler,
    text_encoder=_bert,
    tokenizer=bert_tokenizer,
    text_encoder_2=lambda: t5_encoder(32),
    tokenizer_2=t5_tokenizer,
)
SAFE: dict[str, Any] = dict(requires_safety_checker=False)
HIDREAM: Parts = dict(
    transformer=lambda: HiDreamImageTransformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=[32, 16],
        text_emb_dim=64,
        num_routed_experts=4,
        num_activated_experts=2,
        axes_dims_rope=(4, 2, 2),
        max_resolution=(32, 32),
        llama_layers=(0, 2),
    ),
    vae=flow_vae,
    scheduler=FlowMatchEulerDiscreteScheduler,
    text_encoder=lambda: projected(0),
    tokenizer=clip_tokenizer,
    text_encoder_2=lambda: projected(1),
    tokenizer_2=lambda: clip_tokenizer("!"),
    text_encoder_3=lambda: t5_encoder(32),
    tokenizer_3=t5_tokenizer,
    text_encoder_4=lambda: llama(16, LlamaForCausalLM),
    tokenizer_4=llama_tokenizer,
)
VIDEO: dict[str, Any] = dict(
    in_channels=4,
    out_channels=4,
    num_attention_heads=2,
    attention_head_dim=10,
    num_layers=1,
    num_single_layers=1,
    num_refiner_layers=1,
    patch_size=1,
    patch_size_t=1,
    guidance_embeds=True,
    text_embed_dim=16,
    pooled_projection_dim=32,
    rope_axes_dim=(2, 4, 4),
)


def _video(kind: type = HunyuanVideoTransformer3DModel, **changes: Any) -> Parts:
    return dict(
        transformer=lambda: kind(**(VIDEO | changes)),
        vae=hunyuan_video_vae,
        scheduler=lambda: FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=lambda: llama(16),
        tokenizer=llama_tokenizer,
        text_encoder_2=tiny_text_encoder,
        tokenizer_2=clip_tokenizer,
        image_encoder=siglip,
        feature_extractor=lambda: SiglipImageProcessorPil(size={"height": 32, "width": 32}),
    )


def hunyuan_video_vae(latent: int = 4) -> AutoencoderKLHunyuanVideo:
    """HunyuanVideo's autoencoder: a latent for 8 x 8 pixels of 4 frames."""
    return AutoencoderKLHunyuanVideo(
        latent_channels=latent,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    )


def _dit(**more: Any) -> dict[str, Any]:
    return steps(height=16, width=16, use_resolution_binning=False, **more)


def _film(**more: Any) -> dict[str, Any]:
    return steps(
        height=16,
        width=16,
        num_frames=5,
        true_cfg_scale=4.0,
        **more,
    )


FRAMEPACK: dict[str, Any] = dict(
    patch_size=2, has_image_proj=True, image_proj_dim=32, has_clean_x_embedder=True
)
ANIMALS: dict[str, Animal] = dict(
    [
        animal("HunyuanDiTPipeline", HUNYUAN, _dit, **SAFE),
        animal("HunyuanDiTPAGPipeline", HUNYUAN, _dit, pag_applied_layers=["blocks.1"], **SAFE),
        animal(
            "HunyuanDiTControlNetPipeline",
            HUNYUAN,
            lambda: _dit(control_image=torch.rand(1, 3, 16, 16)),
            **SAFE,
        ),
        resized(
            animal(
                "HiDreamImagePipeline",
                HIDREAM,
                lambda: steps(height=32, width=32, max_sequence_length=24),
            ),
            default_sample_size=32,
        ),
        animal("HunyuanVideoPipeline", _video(), _film),
        animal(
            "HunyuanSkyreelsImageToVideoPipeline",
            _video(in_channels=8),
            lambda: _film(image=picture(16)),
        ),
        animal(
            "HunyuanVideoFramepackPipeline",
            _video(HunyuanVideoFramepackTransformer3DModel, **FRAMEPACK),
            lambda: _film(image=picture()) | dict(height=32, width=32, latent_window_size=3),
        ),
    ]
)
