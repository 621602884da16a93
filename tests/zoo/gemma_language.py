"""Families whose prompt Gemma 2 reads: Sana, Lumina 2."""

from typing import Any

from diffusers import (
    AutoencoderDC,
    AutoencoderKLWan,
    DPMSolverMultistepScheduler,
    Lumina2Transformer2DModel,
    SanaControlNetModel,
    SanaTransformer2DModel,
    SanaVideoTransformer3DModel,
    SCMScheduler,
)

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, flow_vae, slot
from tests.zoo.inputs import call, image, picture
from tests.zoo.language import trained
from tests.zoo.language_models import gemma2, gemma_tokenizer

GEMMA: Parts = slot(1, lambda: gemma2(32), gemma_tokenizer)
SANA_SIZES: dict[str, Any] = dict(
    patch_size=1, in_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
    num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=32, sample_size=32,
)  # fmt: skip


def _sana(**changes: Any) -> Parts:
    return (
        GEMMA
        | FLOW
        | dict(
            transformer=lambda: trained(
                SanaTransformer2DModel(**(SANA_SIZES | dict(out_channels=4) | changes))
            ),
            controlnet=lambda: trained(SanaControlNetModel(**SANA_SIZES)),
            vae=lambda: AutoencoderDC(
                latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
                decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
                decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)),
                decoder_qkv_multiscales=((), (5,)), encoder_layers_per_block=(1, 1), decoder_layers_per_block=[1, 1],
                downsample_block_type="conv", upsample_block_type="interpolate", decoder_norm_types="rms_norm",
                decoder_act_fns="silu", scaling_factor=0.41407,
            ),
        )
    )  # fmt: skip


SPRINT: Parts = _sana(guidance_embeds=True, qk_norm="rms_norm_across_heads") | dict(
    scheduler=SCMScheduler
)
VIDEO: Parts = GEMMA | dict(
    scheduler=lambda: DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True
    ),
    transformer=lambda: trained(
        SanaVideoTransformer3DModel(
            in_channels=16, out_channels=16, num_attention_heads=2, attention_head_dim=12, num_layers=1,
            num_cross_attention_heads=2, cross_attention_head_dim=12, cross_attention_dim=24, caption_channels=32,
            mlp_ratio=2.5, sample_size=8, patch_size=(1, 2, 2),
        )
    ),
    vae=lambda: AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ),
)  # fmt: skip
LUMINA: Parts = (
    GEMMA
    | FLOW
    | dict(
        transformer=lambda: trained(
            Lumina2Transformer2DModel(
                sample_size=4, patch_size=2, in_channels=4, hidden_size=8, num_layers=2, num_attention_heads=1,
                num_kv_heads=1, multiple_of=16, ffn_dim_multiplier=None, axes_dim_rope=(4, 2, 2), axes_lens=(512, 64, 64),
                cap_feat_dim=32,
            )
        ),
        vae=flow_vae,
    )
)  # fmt: skip
PLAIN: dict[str, Any] = dict(use_resolution_binning=False, max_sequence_length=24)

ANIMALS: dict[str, Animal] = {
    **family(
        _sana(),
        SanaPipeline=call(32, **PLAIN),
        SanaPAGPipeline=call(32, **PLAIN),
        SanaControlNetPipeline=call(32, **PLAIN, control_image=picture()),
    ),
    **family(
        SPRINT,
        SanaSprintPipeline=call(32, **PLAIN, intermediate_timesteps=None),
        SanaSprintImg2ImgPipeline=call(32, **PLAIN, **image(), intermediate_timesteps=None),
    ),
    **family(VIDEO, SanaVideoPipeline=call(32, **PLAIN, frames=9)),
    **family(VIDEO | FLOW, SanaImageToVideoPipeline=call(32, **PLAIN, frames=9, image=picture())),
    **family(LUMINA, Lumina2Pipeline=call(32, max_sequence_length=80)),
}
