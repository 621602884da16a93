"""Which pipelines are known, and what their text inputs look like: a literal table.

A family is told by the classes of its components, in a pipeline object as in the model_index.json of a folder, never
by a name. It knows no tensors.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipcond.errors import UnsupportedPipelineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A contract between text encoders and a denoiser.

    Attributes:
        name: for messages and reports.
        components: slot -> class; exactly these text encoders, and this denoiser.
        denoiser: the denoiser's slot.
        arguments: what the pipeline's call must take.
    """

    name: str
    components: Mapping[str, str]
    denoiser: str
    arguments: tuple[str, ...]


FAMILIES: tuple[Family, ...] = (
    Family(
        name="Stable Diffusion 1 and 2",
        components={
            "text_encoder": "CLIPTextModel",
            "tokenizer": "CLIPTokenizer",
            "unet": "UNet2DConditionModel",
        },
        denoiser="unet",
        arguments=("prompt_embeds", "negative_prompt_embeds", "num_images_per_prompt"),
    ),
)


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
    takes = inspect.signature(type(pipe).__call__).parameters
    missing = [name for name in family.arguments if name not in takes]
    if missing:
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} takes no {' and no '.join(missing)}; {_supported()}"
        )
    return family


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
        wanted = family.components
        fits = all(wanted[slot] in classes.get(slot, ()) for slot in wanted)
        if fits and encoders <= set(wanted):
            return family
    found = ", ".join(f"{slot}: {min(classes[slot], key=len)}" for slot in sorted(encoders))
    raise UnsupportedPipelineError(
        f"{name} ({found or 'no text encoder'}) is not supported; {_supported()}"
    )


def _supported() -> str:
    rows = (
        f"{family.name} ({', '.join(f'{slot}: {c}' for slot, c in family.components.items())})"
        for family in FAMILIES
    )
    return f"supported: {'; '.join(rows)}"
