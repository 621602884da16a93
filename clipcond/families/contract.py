"""What a family of pipelines is: a contract between text encoders and a denoiser."""

import html
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from clipcond.encoders import Layer, Normalize
from clipcond.families.handover import Handing, HandOver
from clipcond.families.inputs import Assemble, Finish, as_assembled
from clipcond.families.sight import Sight
from clipcond.tokens import Side, Template

CLIP, PROJECTED = "CLIPTextModel", "CLIPTextModelWithProjection"
CLIP_CLASSES = (CLIP, PROJECTED)
T5_CLASSES = ("T5EncoderModel", "UMT5EncoderModel")
T5GEMMA_CLASSES = ("T5GemmaEncoder", "T5GemmaEncoderModel", "T5Gemma2Encoder")
Width = Callable[[Mapping[str, Any]], int]
Quotes = Callable[[str], list[tuple[int, str]]]  # what is in quotes in a text, and where


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One text encoder of a family.

    Attributes:
        slot: where the pipeline keeps it.
        tokenized_by: where it keeps its tokenizer, or the processor that has it, where that has not the slot's name.
        encoder: its class, or one of several that are used alike.
        prompt: which of prompt, prompt_2 and prompt_3 it reads; where that is not given, prompt.
        layer: as `ClipTextEncoder.layer`; of a language model as `LanguageEncoder.layer`.
        normalize: as `LanguageEncoder.normalize`.
        final_norm: as `LanguageEncoder.final_norm`.
        padding: what becomes of it: "read", "masked" or, of a T5, "zero" (see `T5TextEncoder`); of a language model
            "read", "masked" or "none" (rows are as long as their prompts).
        side: where it is, of a language model; "" is where its tokenizer puts it.
        layer_entry: the entry of the pipeline's configuration that says the layer.
        length_entry: the same of the length.
        filled: up to what: the length, or the longest row of a side.
        multiple: what the length of a language model's rows is a multiple of.
        length: positions of its rows where no call can choose them: in a `fixed` family so many, else as many as its
            tokenizer says, and at most so many; of a ByT5 so many; 0 where a call can.
        sequence: whether the denoiser reads its states; if not, only its pooled vector.
        pooled: whether, of a CLIP, it reads its pooled vector.
        optional: whether the pipeline runs without it.
        template: what stands around a prompt, of a language model.
        negative_template: the same of a negative prompt, where that is another.
        sight: how pictures are shown to it with a prompt; None for one that is shown none.
        glyphs: finds what is in quotes, of a ByT5 that reads only that.
        longest: positions of its row at most, where max_sequence_length says how many and it is a CLIP.
    """

    slot: str
    encoder: str | tuple[str, ...]
    tokenized_by: str = ""
    prompt: int = 1
    layer: Layer = None
    normalize: Normalize | None = None
    final_norm: bool = True
    padding: Literal["read", "masked", "zero", "none"] = "read"
    side: Side | Literal[""] = ""
    layer_entry: str = ""
    length_entry: str = ""
    filled: Literal["longest", "length"] = "length"
    multiple: int = 1
    length: int = 0
    sequence: bool = True
    pooled: bool = True
    optional: bool = False
    template: Template | None = None
    negative_template: Template | None = None
    sight: Sight | None = None
    glyphs: Quotes | None = None
    longest: int = 0

    @property
    def tokenizer(self) -> str:
        """Where the pipeline keeps its tokenizer."""
        return self.tokenized_by or self.slot.replace("text_encoder", "tokenizer")

    @property
    def encoders(self) -> tuple[str, ...]:
        """The classes that it may have."""
        return (self.encoder,) if isinstance(self.encoder, str) else self.encoder

    @property
    def windowed(self) -> bool:
        """Whether it is a CLIP, which reads windows of one length; the others read rows of any."""
        return self.encoders[0] in CLIP_CLASSES

    @property
    def is_t5(self) -> bool:
        """Whether it is a T5."""
        return self.encoders[0] in T5_CLASSES


def both_sides(**arguments: str) -> dict[str, str]:
    """Arguments by `Conditioning`'s names, with those of the negative side."""
    return arguments | {f"negative_{ours}": f"negative_{own}" for ours, own in arguments.items()}


def product(*entries: str) -> Width:
    """The product of entries of a configuration."""
    return lambda config: math.prod(int(config[entry]) for entry in entries)


def as_typed(text: str) -> str:
    """Most pipelines read a prompt as it is typed."""
    return text


def unescaped(text: str) -> str:
    """What Wan and its like do: repaired (where ftfy is installed), HTML unescaped twice, blanks made single."""
    try:
        import ftfy
    except ImportError:
        pass
    else:
        text = ftfy.fix_text(text)
    text = html.unescape(html.unescape(text)).strip()
    return re.sub(r"\s+", " ", text).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A contract between text encoders and a denoiser.

    Attributes:
        name: for messages and reports.
        roles: the text encoders, in the order in which their offloading expects to be called.
        denoiser: the denoiser's slot.
        denoiser_class: and its class, or one of several.
        width: the entry of its configuration that says how wide its text states are, or what tells it from that.
        reader: the slot of what has that configuration, where it is not the denoiser.
        assemble: the encoders' results for one side -> the denoiser's inputs.
        finish: what depends on all sides together, done to their inputs at last.
        no_negative: what the pipeline takes for a negative prompt of None: "empty" (the empty prompt, or its call's
            default), "default" (the same, and for "" too), "zeros", "zeros if told" (by force_zeros_for_empty_prompt in
            its configuration) or "nothing".
        default_negative: the call's default for the negative prompt.
        t5_length: positions of a row of a T5 or a language model by default; the pipeline's max_sequence_length; 0
            where it has none.
        fixed: whether the denoiser takes no other number of positions.
        places: how many tokens of text the denoiser has positions for, from its configuration; None for any number.
        clean: what the pipeline does to a text before all else.
        negative_clean: the same for a negative one, where that is something else.
        templated: whether its call takes a prompt_template for its language model.
        hand_over: what the pipeline's call is given of the sides; it refuses what the pipeline would do otherwise.
        arguments: names of tensors in the pipeline's call where they are others than `Conditioning`'s.
        lacks: an argument that tells pipelines which only look like this family's.
        guidance: how the pipeline asks its denoiser for both sides: the negative rows before the positive ones in one
            call, after them, or in two calls, the positive one first.
        added_scale: what its pipelines add to the guidance scale that they are given.
        regions: how places of a picture are told other texts: by its attention, which reads each text in its places; or
            by its noise, predicted for each text and blended.
    """

    name: str
    roles: tuple[Role, ...]
    denoiser: str = "transformer"
    denoiser_class: str | tuple[str, ...]
    width: str | Width
    reader: str = ""
    assemble: Assemble
    finish: Finish = as_assembled
    no_negative: Literal["empty", "default", "zeros", "zeros if told", "nothing"] = "empty"
    default_negative: str = ""
    t5_length: int = 0
    fixed: bool = False
    places: Width | None = None
    clean: Callable[[str], str] = as_typed
    negative_clean: Callable[[str], str] | None = None
    templated: bool = False
    hand_over: HandOver = Handing.tensors
    arguments: Mapping[str, str] = field(default_factory=dict)
    lacks: str = ""
    guidance: Literal["negative first", "positive first", "two calls"] = "negative first"
    added_scale: float = 0.0
    regions: Literal["attention", "noise"] = "noise"

    @property
    def reading_slot(self) -> str:
        """Where what says how wide text states are is."""
        return self.reader or self.denoiser

    @property
    def sees(self) -> bool:
        """Whether pictures are shown to a text encoder with the prompt."""
        return any(role.sight for role in self.roles)

    @property
    def prompts(self) -> int:
        """How many prompts it takes: prompt, prompt_2, ..."""
        return max(role.prompt for role in self.roles)

    @property
    def denoiser_classes(self) -> tuple[str, ...]:
        """The classes that the denoiser may have."""
        found = self.denoiser_class
        return (found,) if isinstance(found, str) else found

    def width_in(self, config: Mapping[str, Any]) -> int:
        """How wide the denoiser's text states are, from its reader's configuration."""
        if not isinstance(self.width, str):
            return self.width(config)
        found = config[self.width]
        return int(found if isinstance(found, int) else found[0])

    def with_template(self, template: Template) -> "Family":
        """The same, with another template for its language model."""
        roles = tuple(replace(r, template=template) if r.template else r for r in self.roles)
        return replace(self, roles=roles)

    def denoises(self, denoiser: Any) -> bool:
        """Whether a module is a denoiser of this family."""
        return bool({c.__name__ for c in type(denoiser).__mro__} & set(self.denoiser_classes))

    def __str__(self) -> str:
        parts = [f"{role.slot}: {role.encoders[0]}" for role in self.roles]
        return f"{self.name} ({', '.join(parts)}, {self.denoiser}: {self.denoiser_classes[0]})"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder or file holds for its family.

    Attributes:
        family: the family.
        parts: the pipeline's slots -> tokenizers and text encoders.
        width: of the denoiser's text states.
        zeros: whether no negative prompt means zeros.
    """

    family: Family
    parts: Mapping[str, Any]
    width: int
    zeros: bool
