"""Which pipelines are known, and what their text inputs look like: a literal table.

A family is told by the classes of its components, in a pipeline object as in the model_index.json of a folder, never
by a name. Variants of one contract (image to image, inpainting, ControlNet, LCM, ...) are one family.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipcond.conditioning.assembly import Assemble, flux, refiner, sd1, sd3, sdxl
from clipcond.errors import UnsupportedPipelineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One text encoder of a family.

    Attributes:
        slot: where the pipeline keeps it.
        encoder: its class.
        tokenizer: where the pipeline keeps its tokenizer.
        prompt: which of prompt, prompt_2 and prompt_3 it reads; where that is not given, prompt.
        layer: as `ClipTextEncoder.layer`.
        sequence: whether the denoiser reads its states; if not, only its pooled vector.
        optional: whether the pipeline runs without it.
    """

    slot: str
    encoder: str
    tokenizer: str
    prompt: int = 1
    layer: int | None = None
    sequence: bool = True
    optional: bool = False

    @property
    def is_t5(self) -> bool:
        """Whether it is a T5, which reads rows of any length."""
        return self.encoder == "T5EncoderModel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A contract between text encoders and a denoiser.

    Attributes:
        name: for messages and reports.
        roles: the text encoders, in the order in which their offloading expects to be called.
        denoiser: the denoiser's slot.
        denoiser_class: and its class.
        width: the entry of its configuration that says how wide its text states are.
        assemble: the encoders' results -> the denoiser's inputs.
        no_negative: what the pipeline takes for a negative prompt of None: "empty" (the empty prompt), "zeros" (if its
            configuration says force_zeros_for_empty_prompt; else the empty prompt) or "nothing".
        t5_length: positions of a T5 row by default; the pipeline's max_sequence_length.
    """

    name: str
    roles: tuple[Role, ...]
    denoiser: str
    denoiser_class: str
    width: str
    assemble: Assemble
    no_negative: str = "empty"
    t5_length: int = 0

    @property
    def prompts(self) -> int:
        """How many prompts it takes: prompt, prompt_2, ..."""
        return max(role.prompt for role in self.roles)

    def __str__(self) -> str:
        parts = [f"{role.slot}: {role.encoder}" for role in self.roles]
        return f"{self.name} ({', '.join(parts)}, {self.denoiser}: {self.denoiser_class})"


CLIP, PROJECTED, T5 = "CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel"
_UNET = dict(denoiser="unet", denoiser_class="UNet2DConditionModel", width="cross_attention_dim")
_TRANSFORMER = dict(denoiser="transformer", width="joint_attention_dim")
_TE, _TE2, _TE3 = (
    dict(slot=f"text_encoder{n}", tokenizer=f"tokenizer{n}") for n in ("", "_2", "_3")
)

FAMILIES: tuple[Family, ...] = (
    Family(
        name="Stable Diffusion 1 and 2",
        roles=(Role(encoder=CLIP, **_TE),),
        assemble=sd1,
        **_UNET,
    ),
    Family(
        name="Stable Diffusion XL",
        roles=(
            Role(encoder=CLIP, layer=-2, **_TE),
            Role(encoder=PROJECTED, layer=-2, prompt=2, **_TE2),
        ),
        assemble=sdxl,
        no_negative="zeros",
        **_UNET,
    ),
    Family(
        name="Stable Diffusion XL refiner",
        roles=(Role(encoder=PROJECTED, layer=-2, **_TE2),),
        assemble=refiner,
        no_negative="zeros",
        **_UNET,
    ),
    Family(
        name="Stable Diffusion 3",
        roles=(
            Role(encoder=PROJECTED, layer=-2, **_TE),
            Role(encoder=PROJECTED, layer=-2, prompt=2, **_TE2),
            Role(encoder=T5, prompt=3, optional=True, **_TE3),
        ),
        denoiser_class="SD3Transformer2DModel",
        assemble=sd3,
        t5_length=256,
        **_TRANSFORMER,
    ),
    Family(
        name="Flux.1",
        roles=(
            Role(encoder=CLIP, sequence=False, **_TE),
            Role(encoder=T5, prompt=2, **_TE2),
        ),
        denoiser_class="FluxTransformer2DModel",
        assemble=flux,
        no_negative="nothing",
        t5_length=512,
        **_TRANSFORMER,
    ),
)


def family_named(name: str) -> Family:
    """A family by its name."""
    return next(family for family in FAMILIES if family.name == name)


def family_of_pipeline(pipe: Any) -> Family:
    """The family of a pipeline object.

    Raises:
        UnsupportedPipelineError: it is of none, or its call takes no embeddings.
    """
    components = getattr(pipe, "components", None)
    if not isinstance(components, Mapping):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} is not a diffusers pipeline; pass a pipeline object such as "
            "StableDiffusionPipeline.from_pretrained(folder)"
        )
    # a compiled module hides the class it was made from
    parts = {slot: getattr(part, "_orig_mod", part) for slot, part in components.items()}
    classes = {
        slot: {c.__name__ for c in type(part).__mro__}
        for slot, part in parts.items()
        if part is not None
    }
    family = _find(classes, type(pipe).__name__)
    if "prompt_embeds" not in call_arguments(pipe):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} takes no prompt_embeds; {_supported()}"
        )
    return family


def call_arguments(pipe: Any) -> frozenset[str]:
    """The names that a pipeline's call takes."""
    return frozenset(inspect.signature(type(pipe).__call__).parameters)


def family_of_index(index: Mapping[str, Any]) -> Family:
    """The family of a folder, from its model_index.json.

    Raises:
        UnsupportedPipelineError: it is of none.
    """
    classes = {
        slot: {str(part[1]).removesuffix("Fast")}
        for slot, part in index.items()
        if isinstance(part, list | tuple) and len(part) == 2 and part[1] is not None
    }
    return _find(classes, str(index.get("_class_name", "this folder")))


def _find(classes: Mapping[str, set[str]], name: str) -> Family:
    encoders = {slot for slot in classes if slot.startswith("text_encoder")}
    for family in FAMILIES:
        known = {role.slot: role.encoder for role in family.roles}
        needed = {role.slot for role in family.roles if not role.optional}
        if (
            needed <= encoders <= set(known)
            and all(known[slot] in classes[slot] for slot in encoders)
            and family.denoiser_class in classes.get(family.denoiser, ())
        ):
            return family
    found = ", ".join(f"{slot}: {min(classes[slot], key=len)}" for slot in sorted(encoders))
    raise UnsupportedPipelineError(
        f"{name} ({found or 'no text encoder'}) is not supported; {_supported()}"
    )


def _supported() -> str:
    return f"supported: {'; '.join(str(family) for family in FAMILIES)}"
