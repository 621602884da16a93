"""Films made by Wan 2 and what is built on it: SkyReels, ChronoEdit, Lucy, AnyFlow, Helios, Cosmos 2."""

from collections.abc import Callable
from typing import Any

import diffusers
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.schedulers import FlowMapEulerDiscreteScheduler, HeliosScheduler

from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import UMT5, image_processor, vision_encoder
from tests.zoo.inputs import film, mask, picture, steps

SIZES: dict[str, Any] = dict(
    patch_size=(1, 2, 2),
    num_attention_heads=2,
    attention_head_dim=12,
    in_channels=16,
    out_channels=16,
    text_dim=32,
    freq_dim=32,
    ffn_dim=32,
    num_layers=1,
    cross_attn_norm=True,
)
NORMED: dict[str, Any] = SIZES | dict(qk_norm="rms_norm_across_heads", rope_max_seq_len=32)
ANIMATED: dict[str, Any] = dict(
    in_channels=36,
    latent_channels=16,
    image_dim=32,
    motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
    motion_encoder_size=16,
    motion_style_dim=8,
    motion_dim=4,
    motion_encoder_dim=16,
    face_encoder_hidden_dim=16,
    face_encoder_num_heads=2,
    inject_face_latents_blocks=1,
)


def wan_vae() -> AutoencoderKLWan:
    """Wan 2.1's autoencoder: 16 channels, a latent for 8 x 8 pixels of 4 frames."""
    return AutoencoderKLWan(
        base_dim=3,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    )


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
        qk_norm="rms_norm_across_heads",
        rope_dim=(4, 4, 4),
        has_multi_term_memory_patch=True,
        guidance_cross_attn=True,
        zero_history_timestep=True,
        is_amplify_history=False,
    )
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


def _text(frames: int | None = 5, **more: Any) -> dict[str, Any]:
    frame_count = dict(num_frames=frames) if frames else {}
    return steps(height=16, width=16, max_sequence_length=16, **frame_count, **more)


def _image() -> dict[str, Any]:
    return _text(image=picture(16))


def _pyramid() -> dict[str, Any]:
    call = _text(guidance_scale=1.0, pyramid_num_inference_steps_list=[1, 1, 1])
    call |= dict(height=64, width=64)
    del call["num_inference_steps"]
    return call


def _sky(call: Callable[..., dict[str, Any]], **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: call() | dict(base_num_frames=5) | more


WAN = _parts()
SKY = _parts("SkyReelsV2Transformer3DModel", _unipc)
FTFY = dict(needs="ftfy")
ANIMALS: dict[str, Animal] = dict(
    [
        animal("WanPipeline", WAN, _text),
        animal("WanImageToVideoPipeline", _parts(in_channels=36, image_dim=32), _image, **FTFY),
        animal(
            "WanVideoToVideoPipeline",
            _parts(scheduler=_unipc),
            lambda: _text(frames=None, video=film(5, 16), strength=0.9),
            **FTFY,
        ),
        animal(
            "WanVACEPipeline",
            _parts("WanVACETransformer3DModel", vace_layers=[0], vace_in_channels=96),
            lambda: _text(video=film(5, 16), mask=[mask(16)] * 5),
            **FTFY,
        ),
        animal(
            "WanAnimatePipeline",
            _parts("WanAnimateTransformer3DModel", **ANIMATED),
            lambda: _text(
                frames=None,
                image=picture(16),
                pose_video=film(5, 16),
                face_video=film(5, 16),
                segment_frame_length=5,
                prev_segment_conditioning_frames=1,
            ),
            **FTFY,
        ),
        animal("SkyReelsV2Pipeline", SKY, _text, **FTFY),
        animal(
            "SkyReelsV2ImageToVideoPipeline",
            _parts("SkyReelsV2Transformer3DModel", _unipc, in_channels=36, image_dim=32),
            _image,
            **FTFY,
        ),
        animal("SkyReelsV2DiffusionForcingPipeline", SKY, _sky(_text), **FTFY),
        animal("SkyReelsV2DiffusionForcingImageToVideoPipeline", SKY, _sky(_image), **FTFY),
        animal(
            "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
            SKY,
            lambda: _text(frames=9, video=film(5, 16), overlap_history=3, base_num_frames=5),
            **FTFY,
        ),
        animal(
            "ChronoEditPipeline",
            _parts("ChronoEditTransformer3DModel", in_channels=36, image_dim=32),
            _image,
            **FTFY,
        ),
        animal(
            "LucyEditPipeline", _parts(in_channels=32), lambda: _text(video=film(5, 16)), **FTFY
        ),
        animal("AnyFlowPipeline", _any_flow("AnyFlowTransformer3DModel"), _text),
        animal(
            "AnyFlowFARPipeline",
            _any_flow(
                "AnyFlowFARTransformer3DModel",
                compressed_patch_size=(1, 4, 4),
                full_chunk_limit=3,
                chunk_partition=(1, 1),
            ),
            _text,
        ),
        animal("HeliosPipeline", _helios(1), lambda: _text(guidance_scale=1.0), **FTFY),
        animal("HeliosPyramidPipeline", _helios(3), _pyramid, **FTFY),
    ]
)
