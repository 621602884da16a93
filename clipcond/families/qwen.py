"""Qwen-Image's families: a language model reads the prompt alone, or with pictures.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

from dataclasses import replace

import torch

from clipcond.families import templates
from clipcond.families.contract import Family, Role, both_sides
from clipcond.families.inputs import Inputs, Results, each_trimmed
from clipcond.families.sight import Sight
from clipcond.tokens import Template

QWEN_VL = ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLTextModel")
QWEN_3_VL = "Qwen3VLForConditionalGeneration"
EMBEDS_MASK = both_sides(prompt_attention_mask="prompt_embeds_mask")


def qwen_image(results: Results) -> Inputs:
    """The language model's states, zeros behind each prompt's end, and which of them are the prompt's."""
    found = results["text_encoder"]
    return Inputs(
        embeds=torch.where(found.content[:, :, None], found.states, 0.0),
        mask=found.content.long(),
    )


_QWEN_IMAGE = Family(
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
    arguments=EMBEDS_MASK,
)


def _edit(name: str, template: Template, sight: Sight) -> Family:
    """Qwen-Image that is shown pictures with the prompt."""
    roles = tuple(replace(role, template=template, sight=sight) for role in _QWEN_IMAGE.roles)
    return replace(_QWEN_IMAGE, name=name, roles=roles)


QWEN_FAMILIES: tuple[Family, ...] = (
    _QWEN_IMAGE,
    _edit(
        "Qwen-Image Edit",
        templates.QWEN_IMAGE_EDIT,
        Sight(area=1024**2, mark="<|vision_start|><|image_pad|><|vision_end|>", most=1),
    ),
    _edit(
        "Qwen-Image Edit Plus",
        templates.QWEN_IMAGE_EDIT,
        Sight(area=384**2, mark="Picture {}: <|vision_start|><|image_pad|><|vision_end|>", most=16),
    ),
    Family(
        name="Qwen-Image 2.1",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                tokenized_by="processor",
                encoder=QWEN_3_VL,
                layer=-1,
                final_norm=False,
                padding="none",
                side="right",
                template=templates.QWEN_IMAGE_21,
            ),
        ),
        denoiser_class="QwenImage21Transformer2DModel",
        width="context_in_dim",
        assemble=qwen_image,
        finish=each_trimmed,
        no_negative="nothing",
        arguments=EMBEDS_MASK,
    ),
)
