"""Tiny components that several families share. `assemble` seeds torch before it builds each."""

from typing import Any

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel, VQModel
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    SiglipVisionConfig,
    SiglipVisionModel,
    UMT5Config,
    UMT5EncoderModel,
)

from pipelines.tiny import clip_tokenizer, projected, t5_encoder, t5_tokenizer, tiny_text_encoder
from tests.zoo.animal import Parts

CLIP: Parts = dict(text_encoder=tiny_text_encoder, tokenizer=clip_tokenizer)
CLIP_2: Parts = CLIP | dict(
    text_encoder_2=lambda: projected(1), tokenizer_2=lambda: clip_tokenizer("!")
)
T5: Parts = dict(text_encoder=lambda: t5_encoder(32), tokenizer=t5_tokenizer)
SCALED_LINEAR: dict[str, Any] = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
)


def umt5_encoder(width: int = 32) -> UMT5EncoderModel:
    """UMT5's encoder, one layer."""
    config = UMT5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=width,
        d_kv=8,
        d_ff=37,
        num_layers=1,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=32,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
    )
    return UMT5EncoderModel(config)


UMT5: Parts = dict(text_encoder=umt5_encoder, tokenizer=t5_tokenizer)


def vision_encoder(width: int = 32) -> CLIPVisionModelWithProjection:
    """CLIP's picture tower for pictures of 32 x 32."""
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=width,
        image_size=32,
        patch_size=8,
    )
    return CLIPVisionModelWithProjection(config)


def siglip() -> SiglipVisionModel:
    """SigLIP's picture tower for pictures of 32 x 32."""
    config = SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    return SiglipVisionModel(config)


def image_processor() -> CLIPImageProcessorPil:
    """CLIP's picture preparation, to 32 x 32."""
    return CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def unet(**changes: Any) -> UNet2DConditionModel:
    """Stable Diffusion 1's UNet."""
    config = dict(
        block_out_channels=(4, 8),
        layers_per_block=1,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    return UNet2DConditionModel(**(config | changes))


def vae(latent: int = 4, blocks: int = 2, **changes: Any) -> AutoencoderKL:
    """Stable Diffusion's autoencoder: `latent` channels, 2 ** (blocks - 1) pixels to a latent."""
    return AutoencoderKL(
        sample_size=32,
        block_out_channels=(4, 8, 8, 8)[:blocks],
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        latent_channels=latent,
        norm_num_groups=1,
        **changes,
    )


def flow_vae(latent: int = 4, blocks: int = 1) -> AutoencoderKL:
    """The autoencoder of Stable Diffusion 3 and Flux."""
    return vae(
        latent,
        blocks,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
    )


def ddim(**changes: Any) -> DDIMScheduler:
    """Stable Diffusion's own noise schedule."""
    return DDIMScheduler(
        **SCALED_LINEAR, clip_sample=False, set_alpha_to_one=False, steps_offset=1, **changes
    )


def movq() -> VQModel:
    """Kandinsky's autoencoder."""
    return VQModel(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
