"""Families that read T5Gemma or T5Gemma 2: PRX, Motif-Video, Stable Audio 3."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    AutoencoderSAME,
    ClassifierFreeGuidance,
    FlowMatchEulerDiscreteScheduler,
    MotifVideoTransformer3DModel,
    PRXTransformer2DModel,
    StableAudio3DiTModel,
    StableAudio3DurationEmbedder,
)
from transformers import (
    GemmaTokenizer,
    SiglipVisionConfig,
    T5Gemma2Encoder,
    T5Gemma2EncoderConfig,
    T5Gemma2TextConfig,
    T5GemmaConfig,
    T5GemmaEncoderModel,
    T5GemmaModuleConfig,
)
from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, flow_vae, siglip_processor, slot
from tests.zoo.inputs import call, picture
from tests.zoo.wan import wan_vae

CHARACTERS = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'()[]-:;\""
WINDOW = 4  # tokens that a layer with a sliding window sees


def gemma_tokenizer(length: int = 48, side: str = "left") -> GemmaTokenizer:
    """A real GemmaTokenizer over single characters; as the published ones it puts BOS in front and no EOS behind."""
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *CHARACTERS]
    return GemmaTokenizer(
        vocab={word: i for i, word in enumerate(words)},
        merges=[],
        add_bos_token=True,
        model_max_length=length,
        padding_side=side,
    )


def _sizes() -> dict[str, Any]:
    return dict(
        vocab_size=len(gemma_tokenizer()), hidden_size=32, intermediate_size=37, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"],
        dropout_rate=0.0,  # which the configuration of encoder and decoder together would hand down
    )  # fmt: skip


def t5gemma_encoder() -> T5GemmaEncoder:
    """T5Gemma's encoder, one layer with a sliding window and one without."""
    return T5GemmaEncoder(T5GemmaModuleConfig(**_sizes())).eval()


def t5gemma_encoder_model() -> T5GemmaEncoderModel:
    """The same as transformers wraps it."""
    config = T5GemmaConfig(encoder=_sizes(), decoder=_sizes(), is_encoder_decoder=False)
    return T5GemmaEncoderModel(config).eval()


def t5gemma2_encoder() -> T5Gemma2Encoder:
    """T5Gemma 2's encoder with its picture tower."""
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )  # fmt: skip
    text = T5Gemma2TextConfig(**_sizes())
    config = T5Gemma2EncoderConfig(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=3
    )
    return T5Gemma2Encoder(config, eoi_token_index=3).eval()


def _prx() -> PRXTransformer2DModel:
    """PRX's transformer, whose blocks do nothing as it is initialised, with random weights throughout."""
    model = PRXTransformer2DModel(
        in_channels=4, patch_size=2, context_in_dim=32, hidden_size=16, num_heads=2, depth=1, axes_dim=[4, 4]
    )  # fmt: skip
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


PRX: Parts = slot(1, t5gemma_encoder, gemma_tokenizer) | FLOW | dict(transformer=_prx, vae=flow_vae)
MOTIF: Parts = slot(1, t5gemma2_encoder, gemma_tokenizer) | FLOW | dict(
    transformer=lambda: MotifVideoTransformer3DModel(
        in_channels=33, out_channels=16, num_attention_heads=2, attention_head_dim=12, num_layers=1,
        num_single_layers=1, text_embed_dim=32, image_embed_dim=16, rope_axes_dim=(4, 4, 4),
    ),
    vae=wan_vae,
    guider=ClassifierFreeGuidance,
    feature_extractor=siglip_processor,
)  # fmt: skip
AUDIO: Parts = slot(1, t5gemma_encoder_model, gemma_tokenizer) | dict(
    transformer=lambda: StableAudio3DiTModel(
        io_channels=8, embed_dim=16, depth=1, num_heads=2, cond_token_dim=32, global_cond_dim=32,
        local_add_cond_dim=9, timestep_features_dim=8, num_memory_tokens=2,
    ),
    vae=lambda: AutoencoderSAME(
        patch_size=4, encoder_channels=8, encoder_c_mults=(2,), encoder_strides=(2,), encoder_transformer_depths=(1,),
        latent_dim=8, dim_heads=8, sampling_rate=64,
    ),
    duration_embedder=lambda: StableAudio3DurationEmbedder(output_dim=32, fourier_dim=8),
    scheduler=lambda: FlowMatchEulerDiscreteScheduler(stochastic_sampling=True),
)  # fmt: skip
NOISE = torch.rand(1, 2, 64, generator=torch.Generator().manual_seed(0)) - 0.5
_film = partial(call, 32, num_frames=5, max_sequence_length=64)
_sound = partial(call, duration=1.0)

ANIMALS: dict[str, Animal] = {
    **family(PRX, needs="ftfy", PRXPipeline=call(16, use_resolution_binning=False)),
    **family(
        MOTIF, MotifVideoPipeline=_film(), MotifVideoImage2VideoPipeline=_film(image=picture(32))
    ),
    **family(
        AUDIO,
        StableAudio3Pipeline=_sound(guidance_scale=2.0),
        StableAudio3AudioToAudioPipeline=_sound(audio=NOISE),
        StableAudio3InpaintPipeline=_sound(
            audio=NOISE, mask_start_seconds=0.25, mask_end_seconds=0.5
        ),
    ),
}
