"""Films made by Wan 2 and what is built on it: SkyReels, ChronoEdit, Lucy, AnyFlow, Helios, Cosmos 2."""

from functools import partial
from typing import Any

import diffusers
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.schedulers import FlowMapEulerDiscreteScheduler, HeliosScheduler

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import UMT5, image_processor, vision_encoder
from tests.zoo.inputs import call, film, mask, picture

SIZES: dict[str, Any] = dict(
    patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32,
    freq_dim=32, ffn_dim=32, num_layers=1, cross_attn_norm=True,
)  # fmt: skip
NORMED: dict[str, Any] = SIZES | dict(qk_norm="rms_norm_across_heads", rope_max_seq_len=32)
ANIMATED: dict[str, Any] = dict(
    in_channels=36, latent_channels=16, image_dim=32, motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
    motion_encoder_size=16, motion_style_dim=8, motion_dim=4, motion_encoder_dim=16, face_encoder_hidden_dim=16,
    face_encoder_num_heads=2, inject_face_latents_blocks=1,
)  # fmt: skip


def wan_vae() -> AutoencoderKLWan:
    """Wan 2.1's autoencoder: 16 channels, a latent for 8 x 8 pixels of 4 frames."""
    scales = dict(dim_mult=[1, 1, 1, 1], temperal_downsample=[False, True, True])
    return AutoencoderKLWan(base_dim=3, z_dim=16, num_res_blocks=1, **scales)


def _parts(kind: str = "WanTransformer3DModel", scheduler: Any = None, **changes: Any) -> Parts:
    """Components whose transformer is of the class `kind`."""
    return UMT5 | dict(
        transformer=lambda: getattr(diffusers, kind)(**(NORMED | changes)),
        vae=wan_vae,
        scheduler=scheduler or (lambda: FlowMatchEulerDiscreteScheduler(shift=7.0)),
        image_encoder=vision_encoder,
        image_processor=image_processor,
    )


def _any_flow(kind: str, **changes: Any) -> Parts:
    sizes = SIZES | dict(rope_max_seq_len=32, gate_value=0.25, deltatime_type="r") | changes
    return _parts() | dict(
        transformer=lambda: getattr(diffusers, kind)(**sizes),
        scheduler=lambda: FlowMapEulerDiscreteScheduler(num_train_timesteps=1000, shift=5.0),
    )


def _helios(stages: int) -> Parts:
    sizes = SIZES | dict(
        qk_norm="rms_norm_across_heads", rope_dim=(4, 4, 4), has_multi_term_memory_patch=True, guidance_cross_attn=True,
        zero_history_timestep=True, is_amplify_history=False,
    )  # fmt: skip
    return (
        _parts()
        | dict(
            transformer=lambda: diffusers.HeliosTransformer3DModel(**sizes),
            scheduler=lambda: HeliosScheduler(
                stages=stages,
                stage_range=[i / stages for i in range(stages + 1)],
                use_dynamic_shifting=stages == 1,
                gamma=0.25,  # at the default, 1/3, the covariance that the pyramid factorises is singular in fp32
            ),
        )
    )


def _unipc() -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(
        flow_shift=8.0, use_flow_sigmas=True, prediction_type="flow_prediction"
    )


def _pyramid() -> dict[str, Any]:
    made = call(64, num_frames=5, max_sequence_length=16, guidance_scale=1.0)()
    del made["num_inference_steps"]
    return made | dict(pyramid_num_inference_steps_list=[1, 1, 1])


FILM = film(5, 16)
SKY = _parts("SkyReelsV2Transformer3DModel", _unipc)
SEEING: dict[str, Any] = dict(in_channels=36, image_dim=32)
_bare = partial(call, 16, max_sequence_length=16)
_text = partial(_bare, num_frames=5)
_image = _text(image=picture(16))
_family = partial(family, needs="ftfy")

ANIMALS: dict[str, Animal] = {
    **family(_parts(), WanPipeline=_text()),
    **_family(_parts(**SEEING), WanImageToVideoPipeline=_image),
    **_family(_parts(scheduler=_unipc), WanVideoToVideoPipeline=_bare(video=FILM, strength=0.9)),
    **_family(
        _parts("WanVACETransformer3DModel", vace_layers=[0], vace_in_channels=96),
        WanVACEPipeline=_text(video=FILM, mask=[mask(16)] * 5),
    ),
    **_family(
        _parts("WanAnimateTransformer3DModel", **ANIMATED),
        WanAnimatePipeline=_bare(
            image=picture(16),
            pose_video=FILM,
            face_video=FILM,
            segment_frame_length=5,
            prev_segment_conditioning_frames=1,
        ),
    ),
    **_family(
        SKY,
        SkyReelsV2Pipeline=_text(),
        SkyReelsV2DiffusionForcingPipeline=_text(base_num_frames=5),
        SkyReelsV2DiffusionForcingImageToVideoPipeline=_text(image=picture(16), base_num_frames=5),
        SkyReelsV2DiffusionForcingVideoToVideoPipeline=_bare(
            num_frames=9, video=FILM, overlap_history=3, base_num_frames=5
        ),
    ),
    **_family(
        _parts("SkyReelsV2Transformer3DModel", _unipc, **SEEING),
        SkyReelsV2ImageToVideoPipeline=_image,
    ),
    **_family(_parts("ChronoEditTransformer3DModel", **SEEING), ChronoEditPipeline=_image),
    **_family(_parts(in_channels=32), LucyEditPipeline=_text(video=FILM)),
    **family(_any_flow("AnyFlowTransformer3DModel"), AnyFlowPipeline=_text()),
    **family(
        _any_flow(
            "AnyFlowFARTransformer3DModel",
            compressed_patch_size=(1, 4, 4),
            full_chunk_limit=3,
            chunk_partition=(1, 1),
        ),
        AnyFlowFARPipeline=_text(),
    ),
    **_family(_helios(1), HeliosPipeline=_text(guidance_scale=1.0)),
    **_family(_helios(3), HeliosPyramidPipeline=_pyramid),
}
