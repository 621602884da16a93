"""One text encoder's way from text to states: its role, its tokenizer and itself, adapted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from clipcond.encoders import (
    FIRST_VECTOR,
    ClipTextEncoder,
    LanguageEncoder,
    TextEncoder,
    TextualInversion,
)
from clipcond.errors import ClipcondError
from clipcond.families.contract import Family, Role
from clipcond.families.inputs import NEGATIVE
from clipcond.families.sight import Pictures
from clipcond.tokens import PromptTokenizer, Template, TemplateTokenizer, Tokenizer, Vectors, folded


@dataclass(frozen=True, slots=True, eq=False)
class TextPath:
    """One text encoder's way from text to states.

    Attributes:
        role: what it is for.
        tokenizer: adapted.
        encoder: adapted.
        negative: the tokenizer of negative prompts, where they stand in another template.
        processor: what cuts pictures into patches, where it is shown some.
    """

    role: Role
    tokenizer: Tokenizer
    encoder: TextEncoder
    negative: Tokenizer | None = None
    processor: Any = None

    def tokenizer_of(self, side: str) -> Tokenizer:
        """What reads the prompts of a side."""
        return self.negative if side == NEGATIVE and self.negative else self.tokenizer

    def with_length(self, t5_length: int) -> "TextPath":
        """The same, with rows of this length where a call can choose it."""
        if self.role.longest:
            length = min(t5_length, self.role.longest, self.tokenizer.length)
        elif self.role.windowed or self.role.length or not t5_length:
            return self
        else:
            length = t5_length
        negative = self.negative and replace(self.negative, length=length)
        return replace(self, tokenizer=replace(self.tokenizer, length=length), negative=negative)

    def with_template(self, template: Template) -> "TextPath":
        """The same, with another template around prompts, where it reads them in one."""
        if not isinstance(self.tokenizer, TemplateTokenizer):
            return self
        return replace(self, tokenizer=replace(self.tokenizer, template=template))

    def seeing(self, pictures: Pictures) -> "TextPath":
        """The same, shown a call's pictures with every prompt.

        Raises:
            ClipcondError: pictures that it cannot be shown, or none.
        """
        tokenizer, encoder, sight = self.tokenizer, self.encoder, self.role.sight
        if (
            sight is None
            or not isinstance(tokenizer, TemplateTokenizer)
            or not isinstance(encoder, LanguageEncoder)
        ):
            return self
        shown = sight.shown(pictures, self.processor)
        template = tokenizer.template
        text = template.text.replace("{}", f"{shown.marks}{{}}")
        return replace(
            self,
            # pictures take no room from the words
            tokenizer=replace(
                tokenizer,
                template=replace(template, text=text),
                length=tokenizer.length + shown.tokens,
            ),
            encoder=replace(encoder, pictures=shown.tensors, pictures_digest=shown.digest),
        )

    def skipping(self, clip_skip: int | float | None) -> "TextPath":
        """The same, stopping so many layers earlier, where the denoiser reads a CLIP's states."""
        if clip_skip is None or not isinstance(self.encoder, ClipTextEncoder):
            return self
        return replace(self, encoder=replace(self.encoder, skip=clip_skip))

    def with_inversions(self, inversions: Sequence[TextualInversion]) -> "TextPath":
        """The same, knowing these words as well, as far as they have vectors for this encoder."""
        tokenizer, encoder = self.tokenizer, self.encoder
        if not isinstance(tokenizer, PromptTokenizer) or not isinstance(encoder, ClipTextEncoder):
            return self
        known = list(tokenizer.inversions)
        tables = [] if encoder.vectors is None else [encoder.vectors]
        following = FIRST_VECTOR + sum(len(table) for table in tables)
        for inversion in inversions:
            rows = inversion.vectors_for(self.role.slot, encoder.width)
            if rows is None:
                continue
            if len(rows) > tokenizer.frame.room:
                raise ClipcondError(
                    f"the textual inversion {inversion.token!r} has {len(rows)} vectors; a window of {self.role.slot} "
                    f"holds {tokenizer.frame.room}"
                )
            known.append(Vectors(inversion.names, following, len(rows)))
            tables.append(rows)
            following += len(rows)
        if len(known) == len(tokenizer.inversions):
            return self
        return replace(
            self,
            tokenizer=replace(tokenizer, inversions=tuple(known)),
            encoder=replace(encoder, vectors=torch.cat(tables)),
        )


def check_clip_skip(
    clip_skip: int | float | None, paths: Sequence[TextPath], family: Family
) -> None:
    """Whether there are so many layers to leave out.

    Raises:
        ClipcondError: there are not, or the denoiser reads no CLIP's layers.
    """
    if clip_skip is None:
        return
    read = [path.encoder for path in paths if path.role.sequence]
    clips = [encoder for encoder in read if isinstance(encoder, ClipTextEncoder)]
    if not clips:
        raise ClipcondError(
            f"clip_skip={clip_skip:g}: {family.name} reads no CLIP's layers; leave it out"
        )
    most = min(clip.most_skipped for clip in clips)
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
        clips = ((p.role.slot, p.encoder) for p in paths)
        widths = ", ".join(f"{s}: {e.width}" for s, e in clips if isinstance(e, ClipTextEncoder))
        raise ClipcondError(
            f"the textual inversion {inversion.token!r} has vectors of {inversion.widths}, which fit no text encoder here "
            f"({widths}): it was made for another model"
        )
