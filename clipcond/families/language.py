"""The families whose prompt a language model reads: a literal table, and what their denoisers read.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

import re
from collections.abc import Callable, Mapping

import torch

from clipcond.families import templates
from clipcond.families.contract import Family, Role, as_typed, unescaped
from clipcond.families.inputs import Encoded, Inputs, each_trimmed
from clipcond.tokens import Template

_LLAMA = ("LlamaModel", "LlamaForCausalLM")
_QWEN = ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLTextModel")
_TE, _TE2, _TE3, _TE4 = (
    dict(slot=f"text_encoder{n}", tokenizer=f"tokenizer{n}") for n in ("", "_2", "_3", "_4")
)
_STATIC = (
    "Static, 2D cartoon, cartoon, 2d animation, paintings, images, worst quality, low quality, ugly, deformed, "
    "walking backwards"
)


def hunyuan_video(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """The language model's states, and which of them are the prompt's; CLIP's pooled vector."""
    language, clip = results["text_encoder"], results["text_encoder_2"]
    return Inputs(embeds=language.states, pooled=clip.pooled, mask=language.content.long())


def hidream(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """T5's states; those of all the language model's layers beside them; both CLIPs' pooled vectors."""
    language = results["text_encoder_4"]
    pooled = [results[slot].pooled for slot in ("text_encoder", "text_encoder_2")]
    return Inputs(
        embeds=results["text_encoder_3"].states,
        pooled=torch.cat(pooled, dim=-1),
        embeds_2=language.states.unflatten(-1, (language.layers, -1)),
    )


def with_glyphs(results: Mapping[str, Encoded], _width: int, _t5_length: int) -> Inputs:
    """The language model's states; beside them ByT5's of what is in quotes, zeros where nothing is."""
    language, glyphs = results["text_encoder"], results["text_encoder_2"]
    there = glyphs.content.sum(1, keepdim=True) > 1  # more than the end of text
    return Inputs(
        embeds=language.states,
        mask=language.content.long(),
        embeds_2=torch.where(there[:, :, None], glyphs.states, 0.0),
        mask_2=(glyphs.content & there).long(),
    )


def _quotes(*patterns: str) -> Callable[[str], list[tuple[int, str]]]:
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


def _hunyuan_15(
    name: str, denoiser_class: str, template: Template, *, quotes: Callable, length: int
) -> Family:
    """A family with Qwen2.5-VL, and a ByT5 for lettering."""
    return Family(
        name=name,
        roles=(
            Role(encoder=_QWEN, layer=-3, padding="masked", template=template, **_TE),
            Role(encoder="T5EncoderModel", padding="masked", glyphs=quotes, length=length, **_TE2),
        ),
        denoiser="transformer",
        denoiser_class=denoiser_class,
        width="text_embed_dim",
        assemble=with_glyphs,
        t5_length=1000,
        arguments={
            "prompt_attention_mask": "prompt_embeds_mask",
            "negative_prompt_attention_mask": "negative_prompt_embeds_mask",
            "prompt_attention_mask_2": "prompt_embeds_mask_2",
            "negative_prompt_attention_mask_2": "negative_prompt_embeds_mask_2",
        },
    )


def _kandinsky(
    name: str, denoiser_class: str, template: Template, negative: str = "", **contract: str
) -> Family:
    """A family with Qwen2.5-VL, whose states are read without padding, and CLIP's pooled vector."""
    version_5 = denoiser_class.startswith("Kandinsky5")
    return Family(
        name=name,
        roles=(
            Role(encoder=_QWEN, layer=-1, padding="none", template=template, **_TE),
            Role(encoder="CLIPTextModel", sequence=False, padding="masked", **_TE2),
        ),
        denoiser="transformer",
        denoiser_class=denoiser_class,
        width="in_text_dim",
        assemble=hunyuan_video,
        default_negative=negative,
        t5_length=512,
        finish=each_trimmed,
        trimmed=True,
        clean=unescaped if version_5 else as_typed,
        arguments=_KANDINSKY_5 if version_5 else {},
        **contract,
    )


_KANDINSKY_5 = {
    f"{side}{ours}": f"{side}{theirs}"
    for side in ("", "negative_")
    for ours, theirs in (
        ("prompt_embeds", "prompt_embeds_qwen"),
        ("pooled_prompt_embeds", "prompt_embeds_clip"),
        ("prompt_attention_mask", "prompt_cu_seqlens"),
    )
}

LANGUAGE_FAMILIES: tuple[Family, ...] = (
    Family(
        name="HunyuanVideo",
        roles=(
            Role(
                encoder=_LLAMA,
                layer=-3,
                padding="masked",
                template=templates.HUNYUAN_VIDEO,
                **_TE,
            ),
            # diffusers 0.42 takes a prompt_2 for it and then encodes prompt
            Role(encoder="CLIPTextModel", prompt=2, sequence=False, **_TE2),
        ),
        denoiser="transformer",
        denoiser_class=(
            "HunyuanVideoTransformer3DModel",
            "HunyuanVideoFramepackTransformer3DModel",
        ),
        width="text_embed_dim",
        assemble=hunyuan_video,
        no_negative="nothing",
        t5_length=256,
        packed=True,
        templated=True,
    ),
    _kandinsky(
        "Kandinsky 5 pictures",
        "Kandinsky5Transformer3DModel",
        templates.KANDINSKY_IMAGE,
        lacks="num_frames",
    ),
    _kandinsky(
        "Kandinsky 5 films",
        "Kandinsky5Transformer3DModel",
        templates.KANDINSKY_5_VIDEO,
        negative=_STATIC,
    ),
    _kandinsky(
        "Kandinsky 6",
        "Kandinsky6Transformer3DModel",
        templates.KANDINSKY_6_VIDEO,
        negative=_STATIC,
        no_negative="default",
    ),
    Family(
        name="HiDream",
        roles=(
            Role(encoder="CLIPTextModelWithProjection", sequence=False, longest=218, **_TE),
            Role(
                encoder="CLIPTextModelWithProjection",
                sequence=False,
                prompt=2,
                longest=218,
                **_TE2,
            ),
            Role(encoder="T5EncoderModel", prompt=3, padding="masked", **_TE3),
            Role(encoder=_LLAMA, padding="masked", template=templates.HIDREAM, **_TE4),
        ),
        denoiser="transformer",
        denoiser_class="HiDreamImageTransformer2DModel",
        width="caption_channels",
        assemble=hidream,
        t5_length=128,
        arguments={
            f"{side}{ours}": f"{side}{theirs}"
            for side in ("", "negative_")
            for ours, theirs in (
                ("prompt_embeds", "prompt_embeds_t5"),
                ("prompt_embeds_2", "prompt_embeds_llama3"),
            )
        },
    ),
    _hunyuan_15(
        "HunyuanVideo 1.5",
        "HunyuanVideo15Transformer3DModel",
        templates.HUNYUAN_VIDEO_15,
        quotes=_video_quotes,
        length=256,
    ),
    _hunyuan_15(
        "HunyuanImage 2.1",
        "HunyuanImageTransformer2DModel",
        templates.HUNYUAN_IMAGE,
        quotes=_image_quotes,
        length=128,
    ),
)

# classes that look like one of a family and are not
LANGUAGE_REFUSED: dict[str, str] = {
    "HunyuanVideoImageToVideoPipeline": "its language model reads the picture before the prompt, so that the prompt's "
    "states depend on it",
    "Kandinsky5I2IPipeline": "its language model reads the picture after the prompt, and hands over the states of both",
    "GlmImagePipeline": "its language model samples the picture's tokens from the prompt as text; only what is in quotes "
    "is embedded",
}
