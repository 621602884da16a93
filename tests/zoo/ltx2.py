"""Films with sound made by LTX 2, which reads every layer of Gemma 3."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    LTX2VideoTransformer3DModel,
    LTXEulerAncestralRFScheduler,
)
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
from diffusers.pipelines.ltx2.pipeline_ltx2_hdr_lora import LTX2HDRReferenceCondition
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, slot
from tests.zoo.inputs import call, film, picture
from tests.zoo.language import trained
from tests.zoo.language_models import gemma3, gemma_tokenizer

SIZES: dict[str, Any] = dict(
    in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
    audio_in_channels=4, audio_out_channels=4, audio_num_attention_heads=2, audio_attention_head_dim=4,
    audio_cross_attention_dim=8, num_layers=2, caption_channels=16, vae_scale_factors=(2, 8, 8),
)  # fmt: skip
CONNECTORS: dict[str, Any] = dict(
    caption_channels=16, text_proj_in_factor=4, video_connector_num_attention_heads=2,
    video_connector_attention_head_dim=8, video_connector_num_layers=1, video_connector_num_learnable_registers=8,
    audio_connector_num_attention_heads=2, audio_connector_attention_head_dim=8, audio_connector_num_layers=1,
    audio_connector_num_learnable_registers=8,
)  # fmt: skip


def _video_vae() -> AutoencoderKLLTX2Video:
    """Four channels, a latent for 8 x 8 pixels of 2 frames."""
    return AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(16,), down_block_types=("LTX2VideoDownBlock3D",),
        decoder_block_out_channels=(16,), layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
        spatio_temporal_scaling=(True,), decoder_spatio_temporal_scaling=(True,), decoder_inject_noise=(False, False),
        downsample_type=("spatiotemporal",), upsample_type=("spatiotemporal",), upsample_residual=(False,),
        upsample_factor=(1,),
    )  # fmt: skip


def _audio_vae() -> AutoencoderKLLTX2Audio:
    """Two channels of two tones, a latent for 4 frames of sound."""
    return AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1,), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
    )  # fmt: skip


def _vocoder() -> LTX2Vocoder:
    return LTX2Vocoder(
        in_channels=16, hidden_channels=16, out_channels=2, upsample_kernel_sizes=[4, 4], upsample_factors=[2, 2],
        resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]], output_sampling_rate=16000,
    )  # fmt: skip


def _upsampler() -> LTX2LatentUpsamplerModel:
    """Twice as many frames."""
    return LTX2LatentUpsamplerModel(
        in_channels=4, mid_channels=32, num_blocks_per_stage=1, spatial_upsample=False, temporal_upsample=True
    )  # fmt: skip


LTX2: Parts = slot(1, lambda: gemma3(16), gemma_tokenizer) | FLOW | dict(
    vae=_video_vae,
    audio_vae=_audio_vae,
    connectors=lambda: LTX2TextConnectors(**CONNECTORS),
    transformer=lambda: LTX2VideoTransformer3DModel(**SIZES),
    vocoder=_vocoder,
)  # fmt: skip
# LTX 2.5: the connectors' output goes straight into the transformer
DFR: Parts = LTX2 | dict(
    connectors=lambda: LTX2TextConnectors(
        **(CONNECTORS | dict(audio_connector_attention_head_dim=4)),
        per_modality_projections=True,
        video_hidden_dim=16,
        audio_hidden_dim=8,
    ),
    transformer=lambda: trained(
        LTX2VideoTransformer3DModel(
            **SIZES,
            use_prompt_embeddings=False,
            cross_attn_mod=True,
            audio_cross_attn_mod=True,
            use_prompt_adaln_single=False,
            use_keyframes_abs_pos_embedding=True,
        )
    ),
)
REFINED: Parts = DFR | dict(
    scheduler=LTXEulerAncestralRFScheduler, temporal_latent_upsampler=_upsampler
)

_film = partial(call, 32, num_frames=9, max_sequence_length=32)
_guided = partial(_film, spatio_temporal_guidance_blocks=[0])


def _distilled(**more: Any) -> dict[str, Any]:
    """The schedule is given, not a number of steps."""
    made = _film(sigmas=[1.0, 0.5], **more)()
    del made["num_inference_steps"]
    return made


def _refined() -> dict[str, Any]:
    """A film of 9 frames with two key frames, and its sound."""
    noise = torch.Generator().manual_seed(1)
    return _distilled(
        latents=torch.randn(1, 4, 5, 4, 4, generator=noise),
        keyframes_latents=torch.randn(1, 4, 2, 4, 4, generator=noise),
        keyframe_positions=[4, 8],
        audio_latents=torch.randn(1, 2, 9, 2, generator=noise),
    )


ANIMALS: dict[str, Animal] = {
    **family(
        LTX2,
        LTX2Pipeline=_guided(),
        LTX2ImageToVideoPipeline=_guided(image=picture(), image_crf=0),
        LTX2ConditionPipeline=_guided(conditions=LTX2VideoCondition(picture(), crf=0)),
        LTX2InContextPipeline=_guided(reference_conditions=LTX2ReferenceCondition(film(9))),
        LTX2HDRPipeline=_film(
            guidance_scale=3.0, reference_conditions=LTX2HDRReferenceCondition(film(9))
        ),
    ),
    **family(DFR, LTX2DFRPipeline=_distilled),
    **family(REFINED, LTX2DFRTemporalRefinePipeline=_refined),
}
