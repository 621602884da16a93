"""Pictures whose prompt Qwen or Mistral reads: Ovis, Ernie, Krea 2, Nucleus, LongCat, Fibo 2, PRX Pixel and more."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    AutoencoderKLHunyuanImageRefiner,
    AutoencoderKLQwenImage,
    AutoencoderKLQwenImage21,
    BriaFibo2Transformer2DModel,
    ErnieImageTransformer2DModel,
    HunyuanImageTransformer2DModel,
    Krea2Transformer2DModel,
    LongCatImageTransformer2DModel,
    NucleusMoEImageTransformer2DModel,
    OvisImageTransformer2DModel,
    PRXTransformer2DModel,
    QwenImage21Transformer2DModel,
)
from diffusers.guiders import AdaptiveProjectedMixGuidance
from transformers import (
    Mistral3Model,
    Qwen3Config,
    Qwen3Model,
    Qwen3VLModel,
    Qwen3VLTextConfig,
    Qwen3VLTextModel,
)

from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import FLOW, flow_vae, slot
from tests.zoo.inputs import call, picture
from tests.zoo.language import HUNYUAN, trained
from tests.zoo.language_models import (
    mistral,
    mistral_tokenizer,
    qwen,
    qwen3_processor,
    qwen3_vl,
    qwen_processor,
    qwen_tokenizer,
)

WIDTH = 32
LANGUAGE: dict[str, Any] = dict(
    vocab_size=700, hidden_size=WIDTH, intermediate_size=37, num_attention_heads=4, num_key_value_heads=2,
    num_hidden_layers=3, head_dim=8, max_position_embeddings=4096,
)  # fmt: skip
ROPE: dict[str, Any] = dict(rope_type="default", mrope_section=[2, 1, 1], rope_theta=10000.0)


def _seeing(layers: int = 3) -> Parts:
    """Qwen3-VL with its eyes, and what prepares its input."""
    return dict(text_encoder=lambda: qwen3_vl(WIDTH, layers), processor=qwen3_processor)


def _qwen_vae() -> AutoencoderKLQwenImage:
    return AutoencoderKLQwenImage(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1)


def _flux_vae() -> AutoencoderKLFlux2:
    return AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",), block_out_channels=(4,),
        layers_per_block=1, latent_channels=4, norm_num_groups=1, sample_size=32,
    )  # fmt: skip


def _experts() -> NucleusMoEImageTransformer2DModel:
    """Nucleus's denoiser, whose experts begin as whatever lies in memory."""
    denoiser = NucleusMoEImageTransformer2DModel(
        in_channels=64, out_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=WIDTH, axes_dims_rope=(4, 2, 2), dense_moe_strategy="leave_first_block_dense",
        num_experts=2, moe_intermediate_dim=24, capacity_factors=2.0,
    )  # fmt: skip
    for name, parameter in denoiser.named_parameters():
        if ".experts." in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return denoiser


OVIS: Parts = (
    slot(1, lambda: Qwen3Model(Qwen3Config(**LANGUAGE)), qwen_tokenizer)
    | FLOW
    | dict(
        transformer=lambda: OvisImageTransformer2DModel(
            in_channels=16, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=WIDTH, axes_dims_rope=(4, 2, 2),
        ),
        vae=flow_vae,
    )
)  # fmt: skip
ERNIE: Parts = (
    slot(1, lambda: mistral(WIDTH, 3, Mistral3Model), mistral_tokenizer)
    | FLOW
    | dict(
        transformer=lambda: trained(
            ErnieImageTransformer2DModel(
                hidden_size=16, num_attention_heads=2, num_layers=1, ffn_hidden_size=24, in_channels=16,
                out_channels=16, text_in_dim=WIDTH, rope_axes_dim=(4, 2, 2),
            )
        ),
        vae=_flux_vae,
    )
)  # fmt: skip
KREA: Parts = (
    slot(1, lambda: qwen3_vl(WIDTH, 3, Qwen3VLModel), qwen_tokenizer)
    | FLOW
    | dict(
        transformer=lambda: Krea2Transformer2DModel(
            in_channels=64, num_layers=1, attention_head_dim=8, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=24, timestep_embed_dim=16, text_hidden_dim=WIDTH, num_text_layers=3,
            text_num_attention_heads=2, text_num_key_value_heads=2, text_intermediate_size=24,
            num_layerwise_text_blocks=1, num_refiner_text_blocks=1, axes_dims_rope=(4, 2, 2),
        ),
        vae=_qwen_vae,
    )
)  # fmt: skip
QWEN: Parts = (
    _seeing()
    | FLOW
    | dict(
        transformer=lambda: QwenImage21Transformer2DModel(
            in_channels=64, out_channels=64, num_layers=2, attention_head_dim=8, num_attention_heads=2,
            context_in_dim=WIDTH, axes_dims_rope=(4, 2, 2),
        ),
        vae=lambda: AutoencoderKLQwenImage21(base_dim=8, decoder_base_dim=8, dim_mult=[1] * 5, num_res_blocks=1),
    )
)  # fmt: skip
NUCLEUS: Parts = (
    _seeing(10)
    | FLOW
    | dict(
        transformer=_experts,
        vae=_qwen_vae,
    )
)
LONGCAT: Parts = (
    slot(1, lambda: qwen(WIDTH), qwen_tokenizer)
    | FLOW
    | dict(
        text_processor=qwen_processor,
        transformer=lambda: LongCatImageTransformer2DModel(
            in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
            joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=[4, 2, 2],
        ),
        vae=lambda: flow_vae(16),
    )
)  # fmt: skip
PIXEL: Parts = (
    slot(
        1,
        lambda: Qwen3VLTextModel(Qwen3VLTextConfig(**LANGUAGE, rope_parameters=ROPE)),
        qwen_tokenizer,
    )
    | FLOW
    | dict(
        transformer=lambda: trained(
            PRXTransformer2DModel(
                in_channels=3, patch_size=4, context_in_dim=WIDTH, hidden_size=16, num_heads=2, depth=1,
                axes_dim=[4, 4], bottleneck_size=8, resolution_embeds=True,
            )
        )
    )
)  # fmt: skip
FIBO: Parts = (
    _seeing(36)
    | FLOW
    | dict(
        transformer=lambda: trained(
            BriaFibo2Transformer2DModel(
                in_channels=4, dim=32, n_layers=5, n_refiner_layers=1, n_heads=2, cap_feat_dim=3 * WIDTH,
                injection_layer_ids=(0, 1, 2, 3, 4), perceiver_num_layers=1, min_num_gist_tokens=4, max_num_gist_tokens=8,
                gist_step=2, gist_min_text_len=8, gist_max_text_len=64, axes_dims=(8, 4, 4), axes_lens=(64, 32, 32),
            )
        ),
        vae=_flux_vae,
    )
)  # fmt: skip
REFINER: Parts = (
    slot(1, lambda: qwen(WIDTH), qwen_tokenizer)
    | FLOW
    | dict(
        transformer=lambda: HunyuanImageTransformer2DModel(
            **(HUNYUAN | dict(text_embed_2_dim=None)), in_channels=8, num_single_layers=1, patch_size=(1, 1, 1),
            rope_axes_dim=(2, 2, 4), guidance_embeds=True,
        ),
        vae=lambda: AutoencoderKLHunyuanImageRefiner(
            latent_channels=2, block_out_channels=(8, 8, 8), layers_per_block=1, spatial_compression_ratio=4,
            temporal_compression_ratio=2,
        ),
        guider=AdaptiveProjectedMixGuidance,
    )
)  # fmt: skip

ANIMALS: dict[str, Animal] = {
    **family(OVIS, OvisImagePipeline=call(16)),
    **family(ERNIE, ErnieImagePipeline=call(16)),
    **family(
        KREA,
        dict(text_encoder_select_layers=(1, 2, 3)),
        Krea2Pipeline=call(32, max_sequence_length=64),
    ),
    **family(QWEN, QwenImage21Pipeline=call(32, true_cfg_scale=4.0, use_kv_cache=False)),
    **family(NUCLEUS, NucleusMoEImagePipeline=call(32)),
    **family(LONGCAT, LongCatImagePipeline=call(16, enable_prompt_rewrite=False)),
    **family(
        PIXEL,
        dict(prompt_max_tokens=64),
        needs="ftfy",
        PRXPixelPipeline=call(16, use_resolution_binning=False),
    ),
    **family(FIBO, BriaFibo2Pipeline=call(16)),
    **family(
        REFINER,
        HunyuanImageRefinerPipeline=call(
            16, count=1, image=picture(16), distilled_guidance_scale=3.5
        ),
    ),
}
