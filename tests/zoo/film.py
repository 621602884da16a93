"""Films made with T5: LTX, CogVideoX, Mochi, Allegro, Latte, Cosmos 1 and 2."""

from functools import partial
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

from tests.zoo.animal import Animal, Parts, assemble, family
from tests.zoo.components import ADAPTIVE, FLOW, T5, film_vae, t5_slot, vae
from tests.zoo.inputs import call, film, picture
from tests.zoo.wan import wan_vae

WIDTHS = (8, 8, 8, 8)
ONCE = (1, 1, 1, 1, 1)


def _ltx_vae() -> AutoencoderKLLTXVideo:
    video_vae = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=WIDTHS, decoder_block_out_channels=WIDTHS,
        layers_per_block=ONCE, decoder_layers_per_block=ONCE,
        spatio_temporal_scaling=(True, True, False, False), decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4, upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=False, patch_size=1, patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    video_vae.use_framewise_encoding = False
    video_vae.use_framewise_decoding = False
    return video_vae


LTX: Parts = T5 | FLOW | dict(
    transformer=lambda: LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=4, attention_head_dim=8,
        cross_attention_dim=32, num_layers=1, caption_channels=32,
    ),
    vae=_ltx_vae,
)  # fmt: skip
COG: dict[str, Any] = dict(
    num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, time_embed_dim=2, text_embed_dim=32,
    num_layers=1, sample_width=2, sample_height=2, sample_frames=9, patch_size=2, temporal_compression_ratio=4,
    max_text_seq_length=16,
)  # fmt: skip
ROTARY: dict[str, Any] = dict(
    in_channels=8, use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True
)


def _cog(kind: type = CogVideoXTransformer3DModel, **changes: Any) -> Parts:
    return T5 | dict(
        transformer=lambda: kind(**(COG | changes)),
        vae=lambda: film_vae(AutoencoderKLCogVideoX, "CogVideoX", norm_num_groups=2),
        scheduler=DDIMScheduler,
    )


def _consisid() -> Any:
    """From its own module: diffusers itself has it only beside OpenCV, which it needs for drawn key points alone."""
    from diffusers.pipelines.consisid.pipeline_consisid import ConsisIDPipeline

    sizes = ROTARY | dict(use_learned_positional_embeddings=False)
    return assemble(ConsisIDPipeline, _cog(ConsisIDTransformer3DModel, **sizes), {})


MOCHI: Parts = T5 | FLOW | dict(
    transformer=lambda: MochiTransformer3DModel(
        patch_size=2, num_attention_heads=2, attention_head_dim=8, num_layers=2, pooled_projection_dim=16,
        in_channels=12, text_embed_dim=32, time_embed_dim=4, max_sequence_length=16,
    ),
    vae=lambda: AutoencoderKLMochi(
        latent_channels=12, out_channels=3, encoder_block_out_channels=(32,) * 4,
        decoder_block_out_channels=(32,) * 4, layers_per_block=ONCE,
    ),
)  # fmt: skip
ALLEGRO: Parts = t5_slot(width=24) | dict(
    transformer=lambda: AllegroTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, num_layers=1,
        cross_attention_dim=24, sample_width=8, sample_height=8, sample_frames=8, caption_channels=24,
    ),
    vae=lambda: film_vae(AutoencoderKLAllegro, "Allegro", norm_num_groups=2),
    scheduler=DDIMScheduler,
)  # fmt: skip
LATTE: Parts = T5 | dict(
    transformer=lambda: LatteTransformer3DModel(**ADAPTIVE, num_layers=1),
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


def _cosmos(channels: int) -> CosmosTransformer3DModel:
    return CosmosTransformer3DModel(
        in_channels=channels, out_channels=channels // 4 * 4, num_attention_heads=2, attention_head_dim=16,
        num_layers=1, mlp_ratio=2, text_embed_dim=32, adaln_lora_dim=4, max_size=(4, 32, 32), patch_size=(1, 2, 2),
        rope_scale=(2.0, 1.0, 1.0), concat_padding_mask=False, extra_pos_embed_type="learnable",
    )  # fmt: skip


def _cosmos_1(channels: int) -> Parts:
    return T5 | dict(
        transformer=lambda: _cosmos(channels),
        vae=lambda: AutoencoderKLCosmos(
            latent_channels=4, encoder_block_out_channels=WIDTHS, decode_block_out_channels=WIDTHS,
            attention_resolutions=(8,), resolution=64, num_layers=1, patch_size=4, scaling_factor=1.0,
            spatial_compression_ratio=4, temporal_compression_ratio=4,
        ),
        scheduler=lambda: EDMEulerScheduler(final_sigmas_type="sigma_min"),
        safety_checker=_Unguarded,
    )  # fmt: skip


def _cosmos_2(channels: int) -> Parts:
    return _cosmos_1(channels) | dict(
        vae=wan_vae, scheduler=lambda: FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True)
    )


_call = partial(call, max_sequence_length=16)
_film = partial(_call, 32, num_frames=9)
_shown = _film(image=picture())
_cog_shown = _call(16, num_frames=9, image=picture(16))
FILM = film(9, 16)

ANIMALS: dict[str, Animal] = {
    **family(
        LTX,
        LTXPipeline=_film(),
        LTXImageToVideoPipeline=_shown,
        LTXConditionPipeline=_shown,
        LTXI2VLongMultiPromptPipeline=_film(cond_image=picture()),
    ),
    **family(
        _cog(),
        CogVideoXPipeline=_call(16, num_frames=9),
        CogVideoXVideoToVideoPipeline=_call(16, video=FILM, strength=0.9),
    ),
    **family(_cog(**ROTARY), CogVideoXImageToVideoPipeline=_cog_shown),
    **family(_cog(in_channels=8), CogVideoXFunControlPipeline=_call(16, control_video=FILM)),
    "ConsisIDPipeline": Animal("ConsisIDPipeline", _consisid, _cog_shown),
    **family(MOCHI, MochiPipeline=_call(16, num_frames=7)),
    **family(ALLEGRO, AllegroPipeline=_call(16, num_frames=8)),
    **family(LATTE, LattePipeline=call(16, video_length=1, clean_caption=False)),
    **family(_cosmos_1(4), CosmosTextToWorldPipeline=_film()),
    **family(_cosmos_1(5), CosmosVideoToWorldPipeline=_shown),
    **family(_cosmos_2(16), Cosmos2TextToImagePipeline=_call(32)),
    **family(_cosmos_2(17), Cosmos2VideoToWorldPipeline=_shown),
}
