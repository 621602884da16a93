"""The families whose prompt a language model reads beside a CLIP or a T5.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

import re
from dataclasses import replace

import torch

from clipcond.families import templates
from clipcond.families.contract import (
    CLIP,
    PROJECTED,
    Family,
    Quotes,
    Role,
    as_typed,
    both_sides,
    unescaped,
)
from clipcond.families.handover import (
    content_first,
    layers_first,
    unpadded,
    unpadded_with_lengths,
)
from clipcond.families.inputs import Inputs, Results, each_trimmed

_LLAMA = ("LlamaModel", "LlamaForCausalLM")
_QWEN = ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLTextModel")
_STATIC = (
    "Static, 2D cartoon, cartoon, 2d animation, paintings, images, worst quality, low quality, ugly, deformed, "
    "walking backwards"
)


def hunyuan_video(results: Results) -> Inputs:
    """The language model's states, and which of them are the prompt's; CLIP's pooled vector."""
    language, clip = results["text_encoder"], results["text_encoder_2"]
    return Inputs(embeds=language.states, pooled=clip.pooled, mask=language.content.long())


def hidream(results: Results) -> Inputs:
    """T5's states; those of all the language model's layers beside them; both CLIPs' pooled vectors."""
    language = results["text_encoder_4"]
    pooled = [results[slot].vector for slot in ("text_encoder", "text_encoder_2")]
    return Inputs(
        embeds=results["text_encoder_3"].states,
        pooled=torch.cat(pooled, dim=-1),
        embeds_2=language.states.view(*language.states.shape[:2], language.layers, -1),
    )


def with_glyphs(results: Results) -> Inputs:
    """The language model's states; beside them ByT5's of what is in quotes, zeros where nothing is."""
    language, glyphs = results["text_encoder"], results["text_encoder_2"]
    there = glyphs.content.sum(1, keepdim=True) > 1  # more than the end of text
    return Inputs(
        embeds=language.states,
        mask=language.content.long(),
        embeds_2=torch.where(there[:, :, None], glyphs.states, 0.0),
        mask_2=(glyphs.content & there).long(),
    )


def _quotes(*patterns: str) -> Quotes:
    """Finds what is in quotes, kind after kind."""
    kinds = [re.compile(pattern) for pattern in patterns]

    def found(text: str) -> list[tuple[int, str]]:
        matches = [match for kind in kinds for match in kind.finditer(text)]
        return [(m.start(), next((g for g in m.groups() if g), "")) for m in matches]

    return found


_image_quotes = _quotes(r"'(.*?)'", r'"(.*?)"', "\u2018(.*?)\u2019", "“(.*?)”")
_any_double_quotes = _quotes(r'"(.*?)"|“(.*?)”')


def _video_quotes(text: str) -> list[tuple[int, str]]:
    """Each only once."""
    first: dict[str, int] = {}
    for start, quoted in _any_double_quotes(text):
        first.setdefault(quoted, start)
    return [(start, quoted) for quoted, start in first.items()]


_KANDINSKY_5 = Family(
    name="Kandinsky 5 pictures",
    guidance="two calls",
    roles=(
        Role(
            slot="text_encoder",
            encoder=_QWEN,
            layer=-1,
            padding="none",
            template=templates.KANDINSKY_IMAGE,
        ),
        Role(slot="text_encoder_2", encoder=CLIP, sequence=False, padding="masked"),
    ),
    denoiser_class="Kandinsky5Transformer3DModel",
    width="in_text_dim",
    assemble=hunyuan_video,
    finish=each_trimmed,
    t5_length=512,
    clean=unescaped,
    hand_over=unpadded_with_lengths,
    arguments=both_sides(
        prompt_embeds="prompt_embeds_qwen",
        pooled_prompt_embeds="prompt_embeds_clip",
        prompt_attention_mask="prompt_cu_seqlens",
    ),
    lacks="num_frames",
)
_PROMPT = Role(
    slot="text_encoder",
    encoder=_QWEN,
    layer=-3,
    padding="masked",
    template=templates.HUNYUAN_VIDEO_15,
)
_LETTERING = Role(
    slot="text_encoder_2",
    encoder="T5EncoderModel",
    padding="masked",
    glyphs=_video_quotes,
    length=256,
)
_HUNYUAN_15 = Family(
    name="HunyuanVideo 1.5",
    guidance="two calls",
    roles=(_PROMPT, _LETTERING),
    denoiser_class="HunyuanVideo15Transformer3DModel",
    width="text_embed_dim",
    assemble=with_glyphs,
    t5_length=1000,
    arguments=both_sides(
        prompt_attention_mask="prompt_embeds_mask",
        prompt_attention_mask_2="prompt_embeds_mask_2",
    ),
)

MIXED_FAMILIES: tuple[Family, ...] = (
    Family(
        name="HunyuanVideo",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=_LLAMA,
                layer=-3,
                padding="masked",
                template=templates.HUNYUAN_VIDEO,
            ),
            # diffusers 0.42 takes a prompt_2 for it and then encodes prompt
            Role(slot="text_encoder_2", encoder=CLIP, prompt=2, sequence=False),
        ),
        denoiser_class=(
            "HunyuanVideoTransformer3DModel",
            "HunyuanVideoFramepackTransformer3DModel",
        ),
        width="text_embed_dim",
        assemble=hunyuan_video,
        no_negative="nothing",
        t5_length=256,
        templated=True,
        hand_over=content_first,
    ),
    _KANDINSKY_5,
    replace(
        _KANDINSKY_5.with_template(templates.KANDINSKY_5_VIDEO),
        name="Kandinsky 5 films",
        default_negative=_STATIC,
        lacks="",
    ),
    replace(
        _KANDINSKY_5.with_template(templates.KANDINSKY_6_VIDEO),
        name="Kandinsky 6",
        denoiser_class="Kandinsky6Transformer3DModel",
        no_negative="default",
        default_negative=_STATIC,
        clean=as_typed,
        hand_over=unpadded,
        arguments={},
        lacks="",
    ),
    Family(
        name="HiDream",
        roles=(
            Role(slot="text_encoder", encoder=PROJECTED, sequence=False, longest=218),
            Role(slot="text_encoder_2", encoder=PROJECTED, sequence=False, prompt=2, longest=218),
            Role(slot="text_encoder_3", encoder="T5EncoderModel", prompt=3, padding="masked"),
            Role(
                slot="text_encoder_4",
                encoder=_LLAMA,
                padding="masked",
                template=templates.HIDREAM,
            ),
        ),
        denoiser_class="HiDreamImageTransformer2DModel",
        width="caption_channels",
        assemble=hidream,
        t5_length=128,
        hand_over=layers_first,
        arguments=both_sides(
            prompt_embeds="prompt_embeds_t5", prompt_embeds_2="prompt_embeds_llama3"
        ),
    ),
    _HUNYUAN_15,
    replace(
        _HUNYUAN_15,
        name="HunyuanImage 2.1",
        roles=(
            replace(_PROMPT, template=templates.HUNYUAN_IMAGE),
            replace(_LETTERING, glyphs=_image_quotes, length=128),
        ),
        denoiser_class="HunyuanImageTransformer2DModel",
    ),
)
