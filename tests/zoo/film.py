"""Films made with T5: LTX, CogVideoX, Mochi, Allegro, Latte, Cosmos 1 and 2."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AllegroTransformer3DModel,
    AutoencoderKLAllegro,
    AutoencoderKLCogVideoX,
    AutoencoderKLCosmos,
    AutoencoderKLLTXVideo,
    AutoencoderKLMochi,
    CogVideoXTransformer3DModel,
    ConsisIDTransformer3DModel,
    CosmosTransformer3DModel,
    DDIMScheduler,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    LatteTransformer3DModel,
    LTXVideoTransformer3DModel,
    MochiTransformer3DModel,
)

from pipelines.tiny import t5_encoder
from tests.zoo.animal import Animal, Parts, animal, assemble
from tests.zoo.components import T5, vae
from tests.zoo.inputs import film, picture, steps
from tests.zoo.wan import wan_vae


def _ltx_vae() -> AutoencoderKLLTXVideo:
    video_vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    video_vae.use_framewise_encoding = False
    video_vae.use_framewise_decoding = False
    return video_vae


LTX: Parts = T5 | dict(
    transformer=lambda: LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    ),
    vae=_ltx_vae,
    scheduler=FlowMatchEulerDiscreteScheduler,
)

COG: dict[str, Any] = dict(
    num_attention_heads=2,
    attention_head_dim=16,
    in_channels=4,
    out_channels=4,
    time_embed_dim=2,
    text_embed_dim=32,
    num_layers=1,
    sample_width=2,
    sample_height=2,
    sample_frames=9,
    patch_size=2,
    temporal_compression_ratio=4,
    max_text_seq_length=16,
)
ROTARY: dict[str, Any] = dict(
    in_channels=8, use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True
)


def _cog(**changes: Any) -> Parts:
    return T5 | dict(
        transformer=lambda: CogVideoXTransformer3DModel(**(COG | changes)),
        vae=lambda: AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        scheduler=DDIMScheduler,
    )


def _consisid() -> Any:
    """From its own module: diffusers itself has it only beside OpenCV, which it needs for drawn key points alone."""
    from diffusers.pipelines.consisid.pipeline_consisid import ConsisIDPipeline

    parts = _cog() | dict(
        transformer=lambda: ConsisIDTransformer3DModel(
            **(COG | ROTARY | dict(use_learned_positional_embeddings=False))
        )
    )
    return assemble(ConsisIDPipeline, parts, {})


MOCHI: Parts = T5 | dict(
    transformer=lambda: MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=16,
        in_channels=12,
        text_embed_dim=32,
        time_embed_dim=4,
        max_sequence_length=16,
    ),
    vae=lambda: AutoencoderKLMochi(
        latent_channels=12,
        out_channels=3,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    ),
    scheduler=FlowMatchEulerDiscreteScheduler,
)
ALLEGRO: Parts = T5 | dict(
    text_encoder=lambda: t5_encoder(24),
    transformer=lambda: AllegroTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        cross_attention_dim=24,
        sample_width=8,
        sample_height=8,
        sample_frames=8,
        caption_channels=24,
    ),
    vae=lambda: AutoencoderKLAllegro(
        down_block_types=("AllegroDownBlock3D",) * 4,
        up_block_types=("AllegroUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    ),
    scheduler=DDIMScheduler,
)
LATTE: Parts = T5 | dict(
    transformer=lambda: LatteTransformer3DModel(
        sample_size=8,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
    ),
    vae=vae,
    scheduler=DDIMScheduler,
)


class _Unguarded(torch.nn.Module):
    """Stands where Cosmos wants its guardrail, an own package with own weights: lets everything through."""

    device = torch.device("cpu")
    dtype = torch.float32

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, video: Any) -> Any:
        return video


def _cosmos(channels: int) -> dict[str, Any]:
    return dict(
        in_channels=channels,
        out_channels=channels // 4 * 4,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        mlp_ratio=2,
        text_embed_dim=32,
        adaln_lora_dim=4,
        max_size=(4, 32, 32),
        patch_size=(1, 2, 2),
        rope_scale=(2.0, 1.0, 1.0),
        concat_padding_mask=False,
        extra_pos_embed_type="learnable",
    )


def _cosmos_1(channels: int) -> Parts:
    return T5 | dict(
        transformer=lambda: CosmosTransformer3DModel(**_cosmos(channels)),
        vae=lambda: AutoencoderKLCosmos(
            latent_channels=4,
            encoder_block_out_channels=(8, 8, 8, 8),
            decode_block_out_channels=(8, 8, 8, 8),
            attention_resolutions=(8,),
            resolution=64,
            num_layers=1,
            patch_size=4,
            scaling_factor=1.0,
            spatial_compression_ratio=4,
            temporal_compression_ratio=4,
        ),
        scheduler=lambda: EDMEulerScheduler(final_sigmas_type="sigma_min"),
        safety_checker=_Unguarded,
    )


def _cosmos_2(channels: int) -> Parts:
    return _cosmos_1(channels) | dict(
        vae=wan_vae, scheduler=lambda: FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True)
    )


def _film(frames: int | None = 9, size: int = 32, **more: Any) -> dict[str, Any]:
    frame_count = dict(num_frames=frames) if frames else {}
    return steps(height=size, width=size, max_sequence_length=16, **frame_count, **more)


def _with_image(frames: int = 9, size: int = 32, **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: _film(frames, size, image=picture(size), **more)


ANIMALS: dict[str, Animal] = dict(
    [
        animal("LTXPipeline", LTX, _film),
        animal("LTXImageToVideoPipeline", LTX, _with_image()),
        animal("LTXConditionPipeline", LTX, _with_image()),
        animal("LTXI2VLongMultiPromptPipeline", LTX, lambda: _film(cond_image=picture())),
        animal("CogVideoXPipeline", _cog(), lambda: _film(9, 16)),
        animal("CogVideoXImageToVideoPipeline", _cog(**ROTARY), _with_image(9, 16)),
        animal(
            "CogVideoXVideoToVideoPipeline",
            _cog(),
            lambda: _film(None, 16, video=film(9, 16), strength=0.9),
        ),
        animal(
            "CogVideoXFunControlPipeline",
            _cog(in_channels=8),
            lambda: _film(None, 16, control_video=film(9, 16)),
        ),
        ("ConsisIDPipeline", Animal("ConsisIDPipeline", _consisid, _with_image(9, 16))),
        animal("MochiPipeline", MOCHI, lambda: _film(7, 16)),
        animal("AllegroPipeline", ALLEGRO, lambda: _film(8, 16)),
        animal(
            "LattePipeline",
            LATTE,
            lambda: steps(height=16, width=16, video_length=1, clean_caption=False),
        ),
        animal("CosmosTextToWorldPipeline", _cosmos_1(4), _film),
        animal("CosmosVideoToWorldPipeline", _cosmos_1(5), _with_image()),
        animal("Cosmos2TextToImagePipeline", _cosmos_2(16), lambda: _film(None)),
        animal("Cosmos2VideoToWorldPipeline", _cosmos_2(17), _with_image()),
    ]
)
