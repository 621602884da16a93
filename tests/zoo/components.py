"""Tiny components that several families share. `assemble` seeds torch before it builds each."""

from collections.abc import Callable
from typing import Any

from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    MotionAdapter,
    T2IAdapter,
    UNet2DConditionModel,
    VQModel,
)
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
    UMT5Config,
    UMT5EncoderModel,
)

from tests.doubles import clip_tokenizer, projected, t5_encoder, t5_tokenizer, tiny_text_encoder
from tests.zoo.animal import Parts

Sizes = dict[str, Any]


def slot(number: int, encoder: Callable[[], Any], tokenizer: Callable[[], Any]) -> Parts:
    """A text encoder and its tokenizer in the slots of that number."""
    end = f"_{number}" if number > 1 else ""
    return {f"text_encoder{end}": encoder, f"tokenizer{end}": tokenizer}


def t5_slot(number: int = 1, width: int = 32) -> Parts:
    """T5 in the slots of that number."""
    return slot(number, lambda: t5_encoder(width), t5_tokenizer)


CLIP = slot(1, tiny_text_encoder, clip_tokenizer)
PROJECTED = slot(1, lambda: projected(1), clip_tokenizer)
SECOND = slot(2, lambda: projected(1), lambda: clip_tokenizer("!"))
CLIP_2 = CLIP | SECOND
PROJECTED_2 = slot(1, lambda: projected(0), clip_tokenizer) | SECOND
T5 = t5_slot()
FLOW: Parts = dict(scheduler=FlowMatchEulerDiscreteScheduler)
SAFE: Sizes = dict(requires_safety_checker=False)
SCALED_LINEAR: Sizes = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
T5_SIZES: Sizes = dict(
    d_kv=8, d_ff=37, num_layers=1, num_heads=4, dropout_rate=0.0, feed_forward_proj="gated-gelu"
)
VISION: Sizes = dict(
    hidden_size=32, intermediate_size=37, num_attention_heads=4, image_size=32, patch_size=8
)
# a transformer of PixArt's build
ADAPTIVE: Sizes = dict(
    sample_size=8, patch_size=2, num_attention_heads=3, attention_head_dim=8, in_channels=4, out_channels=8,
    caption_channels=32, cross_attention_dim=24, attention_bias=True, activation_fn="gelu-approximate",
    num_embeds_ada_norm=1000, norm_type="ada_norm_single", norm_elementwise_affine=False, norm_eps=1e-6,
)  # fmt: skip
# a UNet of DeepFloyd IF's build
SIMPLE: Sizes = dict(
    down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    mid_block_type="UNetMidBlock2DSimpleCrossAttn",
    up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    layers_per_block=1, encoder_hid_dim=32, cross_attention_dim=32, resnet_time_scale_shift="scale_shift",
)  # fmt: skip


def umt5_encoder(width: int = 32) -> UMT5EncoderModel:
    """UMT5's encoder, one layer."""
    config = UMT5Config(
        vocab_size=len(t5_tokenizer()), d_model=width,
        relative_attention_num_buckets=8, relative_attention_max_distance=32, **T5_SIZES,
    )  # fmt: skip
    return UMT5EncoderModel(config)


UMT5 = slot(1, umt5_encoder, t5_tokenizer)


def vision_encoder() -> CLIPVisionModelWithProjection:
    """CLIP's picture tower for pictures of 32 x 32."""
    config = CLIPVisionConfig(**VISION, num_hidden_layers=2, projection_dim=32)
    return CLIPVisionModelWithProjection(config)


def siglip() -> SiglipVisionModel:
    """SigLIP's picture tower for pictures of 32 x 32."""
    return SiglipVisionModel(SiglipVisionConfig(**VISION, num_hidden_layers=1))


def siglip_processor() -> SiglipImageProcessorPil:
    """SigLIP's picture preparation, to 32 x 32."""
    return SiglipImageProcessorPil(size={"height": 32, "width": 32})


def image_processor() -> CLIPImageProcessorPil:
    """CLIP's picture preparation, to 32 x 32."""
    return CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def unet(**changes: Any) -> UNet2DConditionModel:
    """Stable Diffusion 1's UNet."""
    config = dict(
        block_out_channels=(4, 8), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=2, norm_num_groups=2,
    )  # fmt: skip
    return UNet2DConditionModel(**(config | changes))


def controlnet(kind: type, **sizes: Any) -> Any:
    """A ControlNet for a UNet with blocks as `unet` has them."""
    return kind(
        layers_per_block=1, in_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        conditioning_embedding_out_channels=(4, 8), **sizes,
    )  # fmt: skip


def motion(channels: tuple[int, int], **more: Any) -> MotionAdapter:
    """What makes a UNet draw films."""
    return MotionAdapter(
        block_out_channels=channels, motion_layers_per_block=1, motion_norm_num_groups=2,
        motion_num_attention_heads=2, **more,
    )  # fmt: skip


def adapter(kind: str, channels: list[int], factor: int) -> T2IAdapter:
    """A T2I adapter of the kind."""
    return T2IAdapter(
        in_channels=3, channels=channels, num_res_blocks=1, downscale_factor=factor, adapter_type=kind
    )  # fmt: skip


def vae(latent: int = 4, blocks: int = 2, **changes: Any) -> AutoencoderKL:
    """Stable Diffusion's autoencoder: `latent` channels, 2 ** (blocks - 1) pixels to a latent."""
    return AutoencoderKL(
        sample_size=32, block_out_channels=(4, 8, 8, 8)[:blocks], latent_channels=latent, norm_num_groups=1,
        down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks, **changes,
    )  # fmt: skip


def flow_vae(latent: int = 4, blocks: int = 1) -> AutoencoderKL:
    """The autoencoder of Stable Diffusion 3 and Flux."""
    unquantised = dict(use_quant_conv=False, use_post_quant_conv=False)
    return vae(latent, blocks, **unquantised, shift_factor=0.0609, scaling_factor=1.5035)


def film_vae(kind: type, name: str, **more: Any) -> Any:
    """The autoencoder of a family of films, whose blocks are called by its `name`: four latent channels."""
    return kind(
        down_block_types=(f"{name}DownBlock3D",) * 4, up_block_types=(f"{name}UpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, temporal_compression_ratio=4, **more,
    )  # fmt: skip


def ddim(**changes: Any) -> DDIMScheduler:
    """Stable Diffusion's own noise schedule."""
    return DDIMScheduler(
        **SCALED_LINEAR, clip_sample=False, set_alpha_to_one=False, steps_offset=1, **changes
    )


def movq() -> VQModel:
    """Kandinsky's autoencoder."""
    return VQModel(
        block_out_channels=(32, 64), layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        norm_num_groups=8, norm_type="spatial", num_vq_embeddings=12, vq_embed_dim=4,
    )  # fmt: skip
