"""The families whose prompt a language model reads alone.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

import html
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from clipcond.errors import ClipcondError
from clipcond.families import templates
from clipcond.families.contract import Family, Role, as_typed, product
from clipcond.families.handover import (
    bundles_first,
    each_alone,
    in_layers,
    of_one_length,
)
from clipcond.families.inputs import (
    Inputs,
    Results,
    bool_masked,
    masked,
    states,
)
from clipcond.families.qwen import EMBEDS_MASK, QWEN_3_VL, QWEN_VL, qwen_image

_QWEN_3 = ("Qwen3ForCausalLM", "Qwen3Model")
# what Fibo 2 is told instead of a negative prompt
_NO_CAPTION = (
    '{"short_description":"","objects":[],"background_setting":"","lighting":{},"aesthetics":{},'
    '"photographic_characteristics":{},"style_medium":"","context":"","artistic_style":""}'
)


def ovis(results: Results) -> Inputs:
    """The language model's states, zeros behind each prompt's end."""
    return replace(qwen_image(results), mask=None)


def unit_rms(states: torch.Tensor) -> torch.Tensor:
    """What Fibo 2 does to each layer's states: divided by their root mean square, in float32."""
    wide = states.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(states.dtype)


def repaired(text: str) -> str:
    """What PRX Pixel does: repaired, HTML unescaped twice, no blanks around.

    Raises:
        ClipcondError: ftfy is missing, without which the pipeline takes no strings either.
    """
    try:
        import ftfy
    except ImportError as error:
        raise ClipcondError("PRX Pixel cleans prompts with ftfy: pip install ftfy") from error
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def compact(text: str) -> str:
    """What Fibo 2 does to a caption in JSON: the form that it was trained with; another text stays."""
    from diffusers import BriaFibo2Pipeline

    caption, _ = BriaFibo2Pipeline._parse_prompt(text)  # noqa: SLF001 as its call does
    if isinstance(caption, str):
        return text
    return json.dumps(caption or {}, separators=(",", ":"), ensure_ascii=False)


def of_bundles(config: Mapping[str, Any]) -> int:
    """How wide Fibo 2's states are: one input of its perceiver's, and one of each injection's."""
    return int(config["cap_feat_dim"]) * (1 + len(config["injection_layer_ids"]))


def without_pictures(text: str) -> str:
    """What Flux.2 does: no marks for pictures."""
    return text.replace("[IMG]", "")


LANGUAGE_FAMILIES: tuple[Family, ...] = (
    Family(
        name="Flux.2",
        roles=(
            Role(
                slot="text_encoder",
                encoder="Mistral3ForConditionalGeneration",
                layer=(10, 20, 30),
                padding="masked",  # from each other, and read by the denoiser, which takes no mask
                template=templates.FLUX_2,
            ),
        ),
        denoiser_class="Flux2Transformer2DModel",
        width="joint_attention_dim",
        assemble=states,
        clean=without_pictures,
        t5_length=512,
    ),
    Family(
        name="Flux.2 Klein",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=_QWEN_3,
                layer=(9, 18, 27),
                padding="masked",  # as for Flux.2
                template=templates.FLUX_2_KLEIN,
            ),
        ),
        denoiser_class="Flux2Transformer2DModel",
        width="joint_attention_dim",
        assemble=states,
        t5_length=512,
    ),
    Family(
        name="Z-Image",
        guidance="positive first",
        roles=(
            Role(
                slot="text_encoder",
                encoder=_QWEN_3,
                layer=-2,
                padding="masked",
                template=templates.Z_IMAGE,
            ),
        ),
        denoiser_class="ZImageTransformer2DModel",
        width="cap_feat_dim",
        places=lambda config: (
            (int(config["axes_lens"][0]) - 2) // 32 * 32
        ),  # filled up to such steps
        assemble=masked,
        hand_over=each_alone,
        t5_length=512,
    ),
    Family(
        name="CogView4",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder="GlmModel",
                layer=-2,
                padding="read",
                filled="longest",
                multiple=16,
                template=templates.NONE,
            ),
        ),
        denoiser_class="CogView4Transformer2DModel",
        width="text_embed_dim",
        assemble=states,
        hand_over=of_one_length,
        t5_length=1024,
    ),
    Family(
        name="Ovis-Image",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=_QWEN_3,
                layer=-1,
                padding="masked",
                template=templates.OVIS,
            ),
        ),
        denoiser_class="OvisImageTransformer2DModel",
        width="joint_attention_dim",
        assemble=ovis,
        t5_length=256,
    ),
    Family(
        name="Ernie-Image",
        roles=(
            Role(
                slot="text_encoder",
                encoder="Mistral3Model",
                layer=-2,
                padding="none",
                side="right",
                template=templates.NONE,
            ),
        ),
        denoiser_class="ErnieImageTransformer2DModel",
        width="text_in_dim",
        assemble=masked,
        hand_over=each_alone,
    ),
    Family(
        name="Krea 2",
        guidance="two calls",
        added_scale=1.0,
        roles=(
            Role(
                slot="text_encoder",
                encoder="Qwen3VLModel",
                layer=(2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35),
                layer_entry="text_encoder_select_layers",
                padding="masked",
                side="middle",
                template=templates.KREA_2,
            ),
        ),
        denoiser_class="Krea2Transformer2DModel",
        width=product("num_text_layers", "text_hidden_dim"),
        assemble=bool_masked,
        hand_over=in_layers,
        t5_length=512,
        arguments=EMBEDS_MASK,
    ),
    Family(
        name="Nucleus-Image",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                tokenized_by="processor",
                encoder=QWEN_3_VL,
                layer=-8,
                padding="masked",
                filled="longest",
                multiple=8,
                template=templates.NUCLEUS,
            ),
        ),
        denoiser_class="NucleusMoEImageTransformer2DModel",
        width="joint_attention_dim",
        assemble=masked,
        t5_length=1024,
        arguments=EMBEDS_MASK,
    ),
    Family(
        name="Fibo 2",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                tokenized_by="processor",
                encoder=QWEN_3_VL,
                # six inputs of three layers each
                layer=(9, 20, 31, 5, 16, 27, 7, 18, 29, 9, 20, 31, 11, 22, 33, 13, 24, 35),
                normalize=unit_rms,
                padding="masked",
                filled="longest",
                template=templates.FIBO_2,
            ),
        ),
        denoiser_class="BriaFibo2Transformer2DModel",
        width=of_bundles,
        assemble=bool_masked,
        default_negative=_NO_CAPTION,
        clean=compact,
        negative_clean=as_typed,
        hand_over=bundles_first,
        arguments=EMBEDS_MASK,
    ),
    Family(
        name="PRX Pixel",
        roles=(
            Role(
                slot="text_encoder",
                encoder="Qwen3VLTextModel",
                layer=-1,
                padding="masked",
                length=256,
                length_entry="prompt_max_tokens",
                template=templates.NONE,
            ),
        ),
        denoiser_class="PRXTransformer2DModel",
        width="context_in_dim",
        assemble=bool_masked,
        clean=repaired,
    ),
    Family(
        name="HunyuanImage refiner",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=QWEN_VL,
                layer=-3,
                padding="masked",
                length=256,
                template=templates.HUNYUAN_REFINER,
            ),
        ),
        denoiser_class="HunyuanImageTransformer2DModel",
        width="text_embed_dim",
        assemble=masked,
        arguments=EMBEDS_MASK,
    ),
)
