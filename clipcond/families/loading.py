"""A family's text encoders with their tokenizers, taken from a pipeline object or loaded from a folder or file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipcond.encoders import (
    ClipTextEncoder,
    LanguageEncoder,
    T5GemmaTextEncoder,
    T5TextEncoder,
    text_config,
)
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.families.contract import T5GEMMA_CLASSES, Family, Role
from clipcond.families.finding import family_of_pipeline
from clipcond.families.folder import Source, read_folder
from clipcond.families.single_file import is_single_file, read_single_file
from clipcond.families.text_path import TextPath
from clipcond.models import locate
from clipcond.tokens import GlyphTokenizer, PromptTokenizer, Template, TemplateTokenizer

_BYTES, _LETTERS = 256, 26
_LONGEST_ROW = 1 << 20  # transformers says 10^30 where a tokenizer's files say nothing
Found = tuple[Family, tuple[TextPath, ...], int, bool]


def paths_of_pipeline(pipe: Any) -> Found:
    """(family, paths, the denoiser's text width, whether no negative prompt means zeros) of a pipeline object.

    The width is 0 where the pipeline has text encoders only.

    Raises:
        UnsupportedPipelineError: another kind of pipeline.
    """
    family = family_of_pipeline(pipe)
    reader = getattr(pipe, family.reading_slot)
    width = 0 if reader is None else family.width_in(reader.config)
    zeros = bool(pipe.config.get("force_zeros_for_empty_prompt", False))
    return family, _paths(family, pipe.components), width, zeros


def paths_of_folder(source: Source, tokenizer: Any = None) -> Found:
    """The same of a diffusers folder, hub id or file, loading only the text encoders, in float32 on the CPU.

    Raises:
        CheckpointError: it cannot be read.
        ClipcondError: a tokenizer for what has its own, or what only folders have for a file.
        UnsupportedPipelineError: it holds another kind of pipeline.
    """
    place = source.place
    if is_single_file(place):
        for name in ("variant", "revision", "subfolder"):
            if getattr(source, name):
                raise ClipcondError(
                    f"{name}={getattr(source, name)!r}: {place} is a single file; leave it out"
                )
        held = read_single_file(Path(place), tokenizer)
    elif tokenizer is not None:
        raise ClipcondError(
            f"tokenizer: {place} has its own; it is for a single .safetensors file, leave it out"
        )
    else:
        held = read_folder(replace(source, place=locate(place)))
    return held.family, _paths(held.family, held.parts), held.width, held.zeros


def _paths(family: Family, parts: Mapping[str, Any]) -> tuple[TextPath, ...]:
    return tuple(
        _with_sight(_path(family, role, parts[role.tokenizer], parts[role.slot]), parts)
        for role in family.roles
        if parts.get(role.slot) is not None
    )


def _path(family: Family, role: Role, tokenizer: Any, module: Any) -> TextPath:
    own = getattr(tokenizer, "tokenizer", tokenizer)  # of a processor of pictures and texts
    _check_tokenizer(role, own, module)
    if role.template:
        return _language_path(role, role.template, tokenizer, module)
    if role.glyphs:
        spelt = GlyphTokenizer(tokenizer, role.length, role.glyphs)
        return TextPath(role, spelt, T5TextEncoder(module, role.padding))
    if not role.windowed:
        length = _row_length(family, role, tokenizer)
        gemma = role.encoders[0] in T5GEMMA_CLASSES
        rows = T5GemmaTextEncoder(module) if gemma else T5TextEncoder(module, role.padding)
        return TextPath(role, PromptTokenizer(tokenizer, length, windowed=False), rows)
    layer = role.layer if isinstance(role.layer, int) else None  # several are a language model's
    clip = ClipTextEncoder(module, layer, masked=role.padding == "masked", pooled=role.pooled)
    # the pipelines pad to what the tokenizer says; an encoder may hold fewer positions
    length = min(tokenizer.model_max_length, clip.length)
    return TextPath(role, PromptTokenizer(tokenizer, length), clip)


def _with_sight(path: TextPath, parts: Mapping[str, Any]) -> TextPath:
    """With what cuts pictures into patches."""
    sight = path.role.sight
    return path if sight is None else replace(path, processor=parts[sight.processor])


def _language_path(role: Role, template: Template, speaker: Any, module: Any) -> TextPath:
    tokenizer = getattr(speaker, "tokenizer", speaker)

    def framed(template: Template) -> TemplateTokenizer:
        return TemplateTokenizer(
            tokenizer,
            role.length or tokenizer.model_max_length,
            template,
            filled="own" if role.padding == "none" else role.filled,
            side=role.side or tokenizer.padding_side,
            multiple=role.multiple,
            processor=speaker if speaker is not tokenizer else None,
        )

    asked, negative = framed(template), role.negative_template
    encoder = LanguageEncoder(
        module=module,
        layer=role.layer,
        kept=asked.template.keeps,
        side=asked.side,
        tail=len(asked.frame.tail),
        masked=role.padding != "read",
        normalize=role.normalize,
        final_norm=role.final_norm,
    )
    return TextPath(role, asked, encoder, framed(negative) if negative else None)


def _check_tokenizer(role: Role, tokenizer: Any, module: Any) -> None:
    """Whether a tokenizer has a vocabulary, and one for this encoder.

    Where the files of one are missing, transformers makes it up of its special tokens, without a word.

    Raises:
        CheckpointError: it has none, or another encoder's.
    """
    if tokenizer is None:
        raise CheckpointError(f"{role.tokenizer} is None; {role.slot} reads what it gives: load it")
    vocabulary = tokenizer.get_vocab()
    special = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    ordinary = len(vocabulary.keys() - special)
    fewest, what = (_BYTES, "bytes") if role.windowed else (_LETTERS, "letters")
    if ordinary < fewest:
        hint = (
            ", and of CLIPTokenizer(vocab_file=..., merges_file=...); load a folder that has it, or pass vocab= and merges="
            if role.windowed
            else " or the vocabulary beside it; load a folder that has it"
        )
        raise CheckpointError(
            f"{role.tokenizer} knows {len(vocabulary)} tokens, and without special ones fewer than there are {what}, so "
            f"prompts would say nothing: transformers makes up such a one where tokenizer.json is missing{hint}"
        )
    rows = getattr(text_config(module.config), "vocab_size", None)
    if rows is not None and max(vocabulary.values()) >= rows:
        raise CheckpointError(
            f"{role.tokenizer} has ids up to {max(vocabulary.values())}, but {role.slot} knows {rows} tokens: the two are "
            "of different models; load both from one folder"
        )
    eos_pads = role.template is not None and role.template.eos_pads
    if tokenizer.pad_token_id is None and not eos_pads:
        raise CheckpointError(
            f"{role.tokenizer} has no padding token, which fills up rows: set tokenizer.pad_token to its model's"
        )


def _row_length(family: Family, role: Role, tokenizer: Any) -> int:
    """Positions of a row where no call says more."""
    if role.length and family.fixed:
        return role.length
    length = int(min(tokenizer.model_max_length, role.length or tokenizer.model_max_length))
    if not family.t5_length and length > _LONGEST_ROW:
        raise CheckpointError(
            f"{role.tokenizer} does not say how long a row of {family.name} is: set its model_max_length"
        )
    return length
