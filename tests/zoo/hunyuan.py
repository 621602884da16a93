"""Tencent's families and HiDream: CLIP or T5 beside BERT, Llama or Qwen."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    HiDreamImageTransformer2DModel,
    HunyuanDiT2DControlNetModel,
    HunyuanDiT2DModel,
    HunyuanVideoFramepackTransformer3DModel,
    HunyuanVideoTransformer3DModel,
)
from transformers import BertConfig, BertModel, BertTokenizer, LlamaForCausalLM

from tests.doubles import WORDS, clip_tokenizer, tiny_text_encoder
from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import (
    FLOW,
    PROJECTED_2,
    SAFE,
    film_vae,
    flow_vae,
    siglip,
    siglip_processor,
    slot,
    t5_slot,
    vae,
)
from tests.zoo.inputs import call, picture
from tests.zoo.language_models import llama, llama_tokenizer


def bert_tokenizer() -> BertTokenizer:
    """A real BertTokenizer over `WORDS`."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)}, model_max_length=77)


def _bert() -> BertModel:
    sizes = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=37)
    return BertModel(BertConfig(vocab_size=len(WORDS) + 5, **sizes))


DIT: dict[str, Any] = dict(
    sample_size=16, patch_size=2, attention_head_dim=8, num_attention_heads=3, in_channels=4, cross_attention_dim=32,
    cross_attention_dim_t5=32, pooled_projection_dim=16, hidden_size=24, activation_fn="gelu-approximate",
)  # fmt: skip
HUNYUAN: Parts = slot(1, _bert, bert_tokenizer) | t5_slot(2) | dict(
    transformer=lambda: HunyuanDiT2DModel(**DIT, num_layers=4),
    controlnet=lambda: HunyuanDiT2DControlNetModel(**DIT, transformer_num_layers=4),
    vae=vae,
    scheduler=DDPMScheduler,
)  # fmt: skip
LLAMA = slot(4, lambda: llama(16, LlamaForCausalLM), llama_tokenizer)
HIDREAM: Parts = PROJECTED_2 | t5_slot(3) | LLAMA | FLOW | dict(
    transformer=lambda: HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_channels=[32, 16], text_emb_dim=64, num_routed_experts=4,
        num_activated_experts=2, axes_dims_rope=(4, 2, 2), max_resolution=(32, 32), llama_layers=(0, 2),
    ),
    vae=flow_vae,
)  # fmt: skip
VIDEO: dict[str, Any] = dict(
    in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1, num_single_layers=1,
    num_refiner_layers=1, patch_size=1, patch_size_t=1, guidance_embeds=True, text_embed_dim=16,
    pooled_projection_dim=32, rope_axes_dim=(2, 4, 4),
)  # fmt: skip
FRAMEPACK: dict[str, Any] = dict(
    patch_size=2, has_image_proj=True, image_proj_dim=32, has_clean_x_embedder=True
)


def _video(kind: type = HunyuanVideoTransformer3DModel, **changes: Any) -> Parts:
    texts = slot(1, lambda: llama(16), llama_tokenizer) | slot(2, tiny_text_encoder, clip_tokenizer)
    return texts | dict(
        transformer=lambda: kind(**(VIDEO | changes)),
        vae=hunyuan_video_vae,
        scheduler=lambda: FlowMatchEulerDiscreteScheduler(shift=7.0),
        image_encoder=siglip,
        feature_extractor=siglip_processor,
    )


def hunyuan_video_vae() -> AutoencoderKLHunyuanVideo:
    """HunyuanVideo's autoencoder: a latent for 8 x 8 pixels of 4 frames."""
    return film_vae(
        AutoencoderKLHunyuanVideo, "HunyuanVideo", norm_num_groups=4, spatial_compression_ratio=8
    )


_dit = partial(call, 16, use_resolution_binning=False)
_film = partial(call, num_frames=5, true_cfg_scale=4.0)


def _controlled() -> dict[str, Any]:
    return _dit(control_image=torch.rand(1, 3, 16, 16))()


ANIMALS: dict[str, Animal] = {
    **family(HUNYUAN, SAFE, HunyuanDiTPipeline=_dit(), HunyuanDiTControlNetPipeline=_controlled),
    **family(HUNYUAN, dict(pag_applied_layers=["blocks.1"]) | SAFE, HunyuanDiTPAGPipeline=_dit()),
    **family(
        HIDREAM,
        dict(default_sample_size=32),
        HiDreamImagePipeline=call(32, max_sequence_length=24),
    ),
    **family(_video(), HunyuanVideoPipeline=_film(size=16)),
    **family(
        _video(in_channels=8),
        HunyuanSkyreelsImageToVideoPipeline=_film(size=16, image=picture(16)),
    ),
    **family(
        _video(HunyuanVideoFramepackTransformer3DModel, **FRAMEPACK),
        HunyuanVideoFramepackPipeline=_film(size=32, image=picture(), latent_window_size=3),
    ),
}
