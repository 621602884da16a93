"""Families whose prompts BERT or T5Gemma read: a part of the table in `contracts`."""

from typing import Any

from clipcond.families.contract import (
    T5_CLASSES,
    T5GEMMA_CLASSES,
    Family,
    Role,
    deep_cleaned,
)
from clipcond.families.inputs import hunyuan_dit, t5_bool_masked, t5_masked

_TE = dict(slot="text_encoder", tokenizer="tokenizer")


def _t5gemma_family(name: str, denoiser_class: str, length: int = 0, **contract: Any) -> Family:
    """A family with one T5Gemma whose states a transformer reads."""
    role = Role(encoder=T5GEMMA_CLASSES, padding="masked", length=length, **_TE)
    return Family(
        name=name,
        roles=(role,),
        denoiser="transformer",
        denoiser_class=denoiser_class,
        **contract,
    )


ROW_FAMILIES: tuple[Family, ...] = (
    Family(
        name="HunyuanDiT",
        roles=(
            Role(encoder="BertModel", padding="masked", length=77, **_TE),
            Role(
                encoder=T5_CLASSES,
                padding="masked",
                length=256,
                slot="text_encoder_2",
                tokenizer="tokenizer_2",
            ),
        ),
        denoiser="transformer",
        denoiser_class="HunyuanDiT2DModel",
        width="cross_attention_dim",
        assemble=hunyuan_dit,
        fixed=True,
    ),
    _t5gemma_family(
        "PRX",
        "PRXTransformer2DModel",
        width="context_in_dim",
        assemble=t5_bool_masked,
        clean=deep_cleaned,
    ),
    _t5gemma_family(
        "Motif-Video",
        "MotifVideoTransformer3DModel",
        width="text_embed_dim",
        assemble=t5_masked,
        t5_length=512,
    ),
    _t5gemma_family(
        "Stable Audio 3",
        "StableAudio3DiTModel",
        length=256,
        width="cond_token_dim",
        assemble=t5_masked,
        arguments={
            "prompt_attention_mask": "encoder_attention_mask",
            "negative_prompt_attention_mask": "negative_encoder_attention_mask",
        },
    ),
)
