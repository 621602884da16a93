"""A family's text encoders with their tokenizers, taken from a pipeline object or loaded from a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from clipcond.conditioning.families import family_of_pipeline
from clipcond.conditioning.family import T5GEMMA_CLASSES, Family, Role
from clipcond.conditioning.folder import Source, read_folder
from clipcond.conditioning.reading import Reading
from clipcond.conditioning.single_file import is_single_file, read_single_file
from clipcond.encoders import (
    FIRST_VECTOR,
    ClipTextEncoder,
    LanguageEncoder,
    T5GemmaTextEncoder,
    T5TextEncoder,
    TextEncoder,
    TextualInversion,
    text_config,
)
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.models import locate
from clipcond.tokens import (
    GlyphTokenizer,
    PromptTokenizer,
    Template,
    TemplateTokenizer,
    Tokenizer,
    Vectors,
    folded,
)


@dataclass(frozen=True, slots=True, eq=False)
class TextPath:
    """One text encoder's way from text to states.

    Attributes:
        role: what it is for.
        tokenizer: adapted.
        encoder: adapted.
    """

    role: Role
    tokenizer: Tokenizer
    encoder: TextEncoder

    def tokenizer_for(self, t5_length: int) -> Tokenizer:
        """The tokenizer, with rows of this length where a call can choose it."""
        if self.role.longest:
            shortest = min(t5_length, self.role.longest, self.tokenizer.length)
            return replace(self.tokenizer, length=shortest)
        if self.role.windowed or self.role.length or not t5_length:
            return self.tokenizer
        return replace(self.tokenizer, length=t5_length)

    def with_template(self, template: Template) -> "TextPath":
        """The same, with another template around prompts, where it reads them in one."""
        if not self.role.template:
            return self
        tokenizer = replace(self.tokenizer, template=template)
        return replace(
            self, tokenizer=tokenizer, encoder=replace(self.encoder, prefix=tokenizer.dropped)
        )

    def skipping(self, clip_skip: int | float | None) -> "TextPath":
        """The same, stopping so many layers earlier, where the denoiser reads a CLIP's states."""
        if clip_skip is None or not self.role.windowed:
            return self
        return replace(self, encoder=replace(self.encoder, skip=clip_skip))

    def with_inversions(self, inversions: Sequence[TextualInversion]) -> "TextPath":
        """The same, knowing these words as well, as far as they have vectors for this encoder."""
        if not self.role.windowed:
            return self
        known, tables = list(self.tokenizer.inversions), [self.encoder.vectors]
        following = FIRST_VECTOR + sum(len(table) for table in tables if table is not None)
        for inversion in inversions:
            rows = inversion.vectors_for(self.role.slot, self.encoder.width)
            if rows is None:
                continue
            if len(rows) > self.tokenizer.frame.room:
                raise ClipcondError(
                    f"the textual inversion {inversion.token!r} has {len(rows)} vectors; a window of {self.role.slot} "
                    f"holds {self.tokenizer.frame.room}"
                )
            known.append(Vectors(inversion.names, following, len(rows)))
            tables.append(rows)
            following += len(rows)
        if len(known) == len(self.tokenizer.inversions):
            return self
        return replace(
            self,
            tokenizer=replace(self.tokenizer, inversions=tuple(known)),
            encoder=replace(self.encoder, vectors=torch.cat([t for t in tables if t is not None])),
        )

    def kept(self, readings: Sequence[Reading], pooled: str) -> list[Reading]:
        """The windows that are used: where only the pooled vector is, those it speaks of."""
        if self.role.sequence or pooled == "mean":
            return list(readings)
        part = slice(-1, None) if pooled == "last" else slice(0, 1)
        return [
            replace(reading, branches=tuple((w, chunks[part]) for w, chunks in reading.branches))
            for reading in readings
        ]


def check_clip_skip(
    clip_skip: int | float | None, paths: Sequence[TextPath], family: Family
) -> None:
    """Whether there are so many layers to leave out.

    Raises:
        ClipcondError: there are not, or the denoiser reads no CLIP's layers.
    """
    if clip_skip is None:
        return
    clips = [path for path in paths if path.role.sequence and path.role.windowed]
    if not clips:
        raise ClipcondError(
            f"clip_skip={clip_skip:g}: {family.name} reads no CLIP's layers; leave it out"
        )
    most = min(path.encoder.most_skipped for path in clips)
    if not 0 <= clip_skip <= most:  # nan fails as well
        raise ClipcondError(
            f"clip_skip={clip_skip:g}: from 0 to {most}, the layers that there are to leave out"
        )


def check_known(inversion: TextualInversion, paths: Sequence[TextPath]) -> None:
    """Whether some encoder has learnt a word, and none twice.

    Raises:
        ClipcondError: it has not.
    """
    words = [
        [folded(name) for v in path.tokenizer.inversions for name in v.names] for path in paths
    ]
    for name in inversion.names:
        if any(found.count(folded(name)) > 1 for found in words):
            raise ClipcondError(
                f"the textual inversion {name!r} is there twice; TextualInversion.load(file, token=...) gives one of them "
                "another word"
            )
    times = max((found.count(folded(inversion.token)) for found in words), default=0)
    if not times:
        widths = ", ".join(f"{p.role.slot}: {p.encoder.width}" for p in paths if p.role.windowed)
        raise ClipcondError(
            f"the textual inversion {inversion.token!r} has vectors of {inversion.widths}, which fit no text encoder here "
            f"({widths}): it was made for another model"
        )


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
    denoiser = getattr(pipe, family.denoiser)
    width = 0 if denoiser is None else family.width_in(denoiser.config)
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
        _path(family, role, parts[role.tokenizer], parts[role.slot])
        for role in family.roles
        if parts.get(role.slot) is not None
    )


def _path(family: Family, role: Role, tokenizer: Any, module: Any) -> TextPath:
    own = getattr(tokenizer, "tokenizer", tokenizer)  # of a processor of pictures and texts
    _check_tokenizer(role, own, module)
    if role.template:
        framed = TemplateTokenizer(
            own, own.model_max_length, role.template, padded=role.padding != "none"
        )
        return TextPath(role, framed, LanguageEncoder(module, role.layer, framed.dropped))
    if role.glyphs:
        spelt = GlyphTokenizer(tokenizer, role.length, role.glyphs)
        return TextPath(role, spelt, T5TextEncoder(module, role.padding))
    if not role.windowed:
        length = _row_length(family, role, tokenizer)
        gemma = role.encoders[0] in T5GEMMA_CLASSES
        encoder = T5GemmaTextEncoder(module) if gemma else T5TextEncoder(module, role.padding)
        return TextPath(role, PromptTokenizer(tokenizer, length, windowed=False), encoder)
    encoder = ClipTextEncoder(module, role.layer, masked=role.padding == "masked")
    # the pipelines pad to what the tokenizer says; an encoder may hold fewer positions
    length = min(tokenizer.model_max_length, encoder.length)
    return TextPath(role, PromptTokenizer(tokenizer, length), encoder)


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
    length = min(tokenizer.model_max_length, role.length or tokenizer.model_max_length)
    if not family.t5_length and length > _LONGEST_ROW:
        raise CheckpointError(
            f"{role.tokenizer} does not say how long a row of {family.name} is: set its model_max_length"
        )
    return length
