"""Flux.1 and what is built on it."""

from collections.abc import Callable
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, FluxControlNetModel, FluxTransformer2DModel
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
from transformers import SiglipImageProcessorPil

from pipelines.tiny import t5_encoder, t5_tokenizer
from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import CLIP, flow_vae, siglip
from tests.zoo.inputs import mask, picture, steps

SIZES: dict[str, Any] = dict(
    patch_size=1,
    num_layers=1,
    num_single_layers=1,
    attention_head_dim=16,
    num_attention_heads=2,
    joint_attention_dim=32,
    pooled_projection_dim=32,
    axes_dims_rope=[4, 4, 8],
)


def _parts(channels: int, latent: int = 1) -> Parts:
    """Components of a Flux whose transformer reads `channels` and whose pictures have `latent` channels."""
    return CLIP | dict(
        transformer=lambda: FluxTransformer2DModel(
            **SIZES, in_channels=channels, out_channels=4 * latent
        ),
        scheduler=FlowMatchEulerDiscreteScheduler,
        vae=lambda: flow_vae(latent),
        text_encoder_2=lambda: t5_encoder(32),
        tokenizer_2=t5_tokenizer,
        controlnet=lambda: FluxControlNetModel(**SIZES, in_channels=channels),
    )


BASE = _parts(4)
CONTROL = _parts(8)
FILL = _parts(20, latent=2)
CLOZE = _parts(12)
REDUX = BASE | dict(
    image_encoder=siglip,
    feature_extractor=lambda: SiglipImageProcessorPil(size={"height": 32, "width": 32}),
    image_embedder=lambda: ReduxImageEncoder(redux_dim=32, txt_in_features=32),
)


def _text() -> dict[str, Any]:
    return steps(height=16, width=16, max_sequence_length=24)


def _image() -> dict[str, Any]:
    return _text() | dict(image=picture(16), strength=0.9)


def _inpaint() -> dict[str, Any]:
    return _image() | dict(mask_image=mask(16))


def _controlled(call: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    return lambda: call() | dict(control_image=picture(16))


def _cloze() -> dict[str, Any]:
    return steps(
        task_prompt="two pictures",
        image=[[picture(), picture()], [picture(), None]],
        max_sequence_length=24,
    )


ANIMALS: dict[str, Animal] = dict(
    [
        animal("FluxPipeline", BASE, _text),
        animal("FluxImg2ImgPipeline", BASE, _image),
        animal("FluxInpaintPipeline", BASE, _inpaint),
        animal(
            "FluxFillPipeline",
            FILL,
            lambda: _text() | dict(image=picture(16), mask_image=mask(16)),
        ),
        animal("FluxControlPipeline", CONTROL, _controlled(_text)),
        animal("FluxControlImg2ImgPipeline", CONTROL, _controlled(_image)),
        animal("FluxControlInpaintPipeline", CONTROL, _controlled(_inpaint)),
        animal("FluxControlNetPipeline", _parts(16, latent=4), _controlled(_text)),
        animal("FluxControlNetImg2ImgPipeline", _parts(16, latent=4), _controlled(_image)),
        animal("FluxControlNetInpaintPipeline", _parts(16, latent=4), _controlled(_inpaint)),
        animal(
            "FluxKontextPipeline",
            BASE,
            lambda: _text() | dict(image=picture(16), max_area=16 * 16, _auto_resize=False),
        ),
        animal(
            "FluxKontextInpaintPipeline",
            BASE,
            lambda: _inpaint() | dict(max_area=16 * 16, _auto_resize=False),
        ),
        animal("FluxPriorReduxPipeline", REDUX, lambda: dict(image=picture())),
        animal(
            "VisualClozeGenerationPipeline", CLOZE, _cloze, prompt="content_prompt", resolution=32
        ),
        animal(
            "VisualClozePipeline",
            CLOZE,
            lambda: _cloze() | dict(upsampling_height=32, upsampling_width=32, output_type="np"),
            prompt="content_prompt",
            resolution=32,
        ),
    ]
)
