"""Families whose prompt Qwen3, Mistral or GLM reads alone: Z-Image, Flux.2, CogView4."""

from typing import Any

from diffusers import (
    AutoencoderKLFlux2,
    CogView4Transformer2DModel,
    Flux2Transformer2DModel,
    ZImageControlNetModel,
    ZImageTransformer2DModel,
)
from transformers import Siglip2ImageProcessorPil, Siglip2VisionConfig, Siglip2VisionModel

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, VISION, flow_vae, slot
from tests.zoo.inputs import call, image, inpaint, mask, picture
from tests.zoo.language import trained
from tests.zoo.language_models import (
    glm,
    glm_tokenizer,
    mistral,
    mistral_tokenizer,
    qwen3,
    qwen_tokenizer,
)

FLUX_2: dict[str, Any] = dict(
    in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
    joint_attention_dim=96, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4),
)  # fmt: skip
Z_SIZES: dict[str, Any] = dict(
    all_patch_size=(2,), all_f_patch_size=(1,), dim=32, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
    qk_norm=True,
)  # fmt: skip


def flux_2(**changes: Any) -> Parts:
    """What Flux.2 and Klein share."""
    return FLOW | dict(
        transformer=lambda: Flux2Transformer2DModel(**(FLUX_2 | changes)),
        vae=lambda: AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
            block_out_channels=(4,), layers_per_block=1, latent_channels=4, norm_num_groups=1, sample_size=32,
        ),
    )  # fmt: skip


KLEIN = slot(1, lambda: qwen3(32), qwen_tokenizer) | flux_2(guidance_embeds=False)
DEV = slot(1, lambda: mistral(32, 31), mistral_tokenizer) | flux_2()


def _z_image(**changes: Any) -> Parts:
    return (
        slot(1, lambda: qwen3(32), qwen_tokenizer)
        | FLOW
        | dict(
            transformer=lambda: trained(
                ZImageTransformer2DModel(
                    **Z_SIZES, in_channels=16, n_layers=2, cap_feat_dim=32, rope_theta=256.0, axes_dims=[8, 4, 4],
                    axes_lens=[256, 32, 32], **changes,
                )
            ),
            controlnet=lambda: trained(
                ZImageControlNetModel(
                    **Z_SIZES, control_layers_places=[0], control_refiner_layers_places=[0], control_in_dim=33,
                    add_control_noise_refiner="control_noise_refiner",
                )
            ),
            vae=lambda: flow_vae(16, 4),
            siglip=lambda: Siglip2VisionModel(
                Siglip2VisionConfig(**(VISION | dict(num_patches=16)), num_hidden_layers=1)
            ),
            siglip_processor=lambda: Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16),
        )
    )  # fmt: skip


COGVIEW: Parts = (
    slot(1, lambda: glm(32), glm_tokenizer)
    | FLOW
    | dict(
        transformer=lambda: trained(
            CogView4Transformer2DModel(
                patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2,
                text_embed_dim=32, time_embed_dim=8, condition_dim=4, sample_size=16, rope_axes_dim=(8, 8),
            )
        ),
        vae=lambda: flow_vae(4, 2),
    )
)  # fmt: skip
CONTROLLED: Parts = COGVIEW | dict(
    transformer=lambda: trained(
        CogView4Transformer2DModel(
            patch_size=2, in_channels=8, out_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2,
            text_embed_dim=32, time_embed_dim=8, condition_dim=4, sample_size=16, rope_axes_dim=(8, 8),
        )
    )
)  # fmt: skip

SHORT: dict[str, Any] = dict(max_sequence_length=40)

ANIMALS: dict[str, Animal] = {
    **family(DEV, Flux2Pipeline=call(32, max_sequence_length=80)),
    **family(KLEIN, Flux2KleinPipeline=call(32), Flux2KleinInpaintPipeline=call(32, **inpaint())),
    **family(KLEIN, Flux2KleinKVPipeline=call(32)),
    **family(
        _z_image(),
        ZImagePipeline=call(32, **SHORT),
        ZImageImg2ImgPipeline=call(32, **SHORT, **image()),
        ZImageInpaintPipeline=call(32, **SHORT, **inpaint()),
        ZImageControlNetPipeline=call(32, **SHORT, control_image=picture()),
        ZImageControlNetInpaintPipeline=call(
            32, **SHORT, control_image=picture(), image=picture(), mask_image=mask()
        ),
    ),
    **family(_z_image(siglip_feat_dim=32), ZImageOmniPipeline=call(32, **SHORT)),
    **family(COGVIEW, CogView4Pipeline=call(32)),
    **family(CONTROLLED, CogView4ControlPipeline=call(32, control_image=picture())),
}
