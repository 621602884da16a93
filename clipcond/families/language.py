"""The families whose prompt a language model reads alone.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

from dataclasses import replace

import torch

from clipcond.families import templates
from clipcond.families.contract import Family, Role, both_sides
from clipcond.families.handover import each_alone, of_one_length
from clipcond.families.inputs import Inputs, Results, each_trimmed, masked, states

QWEN_VL = ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLTextModel")
_QWEN_3 = ("Qwen3ForCausalLM", "Qwen3Model")
_GEMMA_2 = ("Gemma2Model", "Gemma2ForCausalLM")


def qwen_image(results: Results) -> Inputs:
    """The language model's states, zeros behind each prompt's end, and which of them are the prompt's."""
    found = results["text_encoder"]
    return Inputs(
        embeds=torch.where(found.content[:, :, None], found.states, 0.0),
        mask=found.content.long(),
    )


def lowered(text: str) -> str:
    """What Sana's and Lumina's pipelines do: lower case, no blanks around."""
    return text.lower().strip()


def without_pictures(text: str) -> str:
    """What Flux.2 does: no marks for pictures."""
    return text.replace("[IMG]", "")


_SANA = Family(
    name="Sana",
    roles=(
        Role(
            slot="text_encoder",
            encoder="Gemma2Model",
            layer=-1,
            padding="masked",
            side="right",
            template=templates.SANA,
            negative_template=templates.NONE,
        ),
    ),
    denoiser_class="SanaTransformer2DModel",
    width="caption_channels",
    assemble=masked,
    clean=lowered,
    t5_length=300,
)

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
        name="Qwen-Image",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=QWEN_VL,
                layer=-1,
                padding="none",
                template=templates.QWEN_IMAGE,
            ),
        ),
        denoiser_class="QwenImageTransformer2DModel",
        width="joint_attention_dim",
        assemble=qwen_image,
        finish=each_trimmed,
        no_negative="nothing",
        t5_length=512,
        arguments=both_sides(prompt_attention_mask="prompt_embeds_mask"),
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
        assemble=masked,
        hand_over=each_alone,
        t5_length=512,
    ),
    _SANA,
    replace(
        _SANA.with_template(templates.SANA_VIDEO),
        name="Sana video",
        denoiser_class="SanaVideoTransformer3DModel",
    ),
    Family(
        name="Lumina 2",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=_GEMMA_2,
                layer=-2,
                padding="masked",
                side="right",
                template=templates.LUMINA_2,
                negative_template=templates.NONE,
            ),
        ),
        denoiser_class="Lumina2Transformer2DModel",
        width="cap_feat_dim",
        assemble=masked,
        t5_length=256,
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
)
