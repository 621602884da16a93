"""Flux.1 and what is built on it."""

from functools import partial
from typing import Any

from diffusers import FluxControlNetModel, FluxTransformer2DModel
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import CLIP, FLOW, flow_vae, siglip, siglip_processor, t5_slot
from tests.zoo.inputs import call, image, inpaint, mask, picture

SIZES: dict[str, Any] = dict(
    patch_size=1, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
    joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=[4, 4, 8],
)  # fmt: skip


def _parts(channels: int, latent: int = 1) -> Parts:
    """Components of a Flux whose transformer reads `channels` and whose pictures have `latent` channels."""
    own: Parts = dict(
        transformer=lambda: FluxTransformer2DModel(
            **SIZES, in_channels=channels, out_channels=4 * latent
        ),
        vae=lambda: flow_vae(latent),
        controlnet=lambda: FluxControlNetModel(**SIZES, in_channels=channels),
    )
    return CLIP | t5_slot(2) | FLOW | own


BASE = _parts(4)
REDUX = BASE | dict(
    image_encoder=siglip,
    feature_extractor=siglip_processor,
    image_embedder=lambda: ReduxImageEncoder(redux_dim=32, txt_in_features=32),
)
CONTROL = dict(control_image=picture(16))
KONTEXT = dict(max_area=16 * 16, _auto_resize=False)
_call = partial(call, 16, max_sequence_length=24)
_cloze = partial(
    call,
    task_prompt="two pictures",
    image=[[picture(), picture()], [picture(), None]],
    max_sequence_length=24,
)

ANIMALS: dict[str, Animal] = {
    **family(
        BASE,
        FluxPipeline=_call(),
        FluxImg2ImgPipeline=_call(**image(16)),
        FluxInpaintPipeline=_call(**inpaint(16)),
        FluxKontextPipeline=_call(image=picture(16), **KONTEXT),
        FluxKontextInpaintPipeline=_call(**inpaint(16), **KONTEXT),
    ),
    **family(_parts(20, latent=2), FluxFillPipeline=_call(image=picture(16), mask_image=mask(16))),
    **family(
        _parts(8),
        FluxControlPipeline=_call(**CONTROL),
        FluxControlImg2ImgPipeline=_call(**image(16), **CONTROL),
        FluxControlInpaintPipeline=_call(**inpaint(16), **CONTROL),
    ),
    **family(
        _parts(16, latent=4),
        FluxControlNetPipeline=_call(**CONTROL),
        FluxControlNetImg2ImgPipeline=_call(**image(16), **CONTROL),
        FluxControlNetInpaintPipeline=_call(**inpaint(16), **CONTROL),
    ),
    **family(REDUX, FluxPriorReduxPipeline=lambda: dict(image=picture())),
    **family(
        _parts(12),
        dict(resolution=32),
        prompt="content_prompt",
        VisualClozeGenerationPipeline=_cloze(),
        VisualClozePipeline=_cloze(upsampling_height=32, upsampling_width=32, output="np"),
    ),
}
