"""Finding the family of a pipeline: by the classes of its components and the arguments of its call, never by a name.

The same for a pipeline object as for the model_index.json of a folder.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args, get_type_hints

from clipcond.errors import UnsupportedPipelineError
from clipcond.families.contract import Family, Role
from clipcond.families.table import FAMILIES, NAMED, REFUSED
from clipcond.families.templates import template_of


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
        slot: tuple(c.__name__ for c in type(part).__mro__)
        for slot, part in parts.items()
        if part is not None
    }
    return _find(classes, type(pipe), pipe.config)


def call_arguments(pipe: Any) -> dict[str, Any]:
    """The names that a pipeline's call takes, with their defaults (None where there is none)."""
    return _call_arguments(type(pipe))


def required(pipe: Any, argument: str) -> bool:
    """Whether a pipeline's call asks for an argument even where it has no use for it."""
    found = inspect.signature(type(pipe).__call__).parameters.get(argument)
    return found is not None and found.default is inspect.Parameter.empty


def _call_arguments(pipeline_class: Any) -> dict[str, Any]:
    parameters = inspect.signature(pipeline_class.__call__).parameters
    return {
        name: None if p.default is inspect.Parameter.empty else p.default
        for name, p in parameters.items()
    }


def family_of_index(index: Mapping[str, Any]) -> Family:
    """The family of a folder, from its model_index.json.

    Raises:
        UnsupportedPipelineError: it is of none, or of a class that diffusers has not without another package.
    """
    import diffusers

    classes = {
        slot: (str(part[1]).removesuffix("Fast"),)
        for slot, part in index.items()
        if isinstance(part, list | tuple) and len(part) == 2 and part[1] is not None
    }
    name = str(index.get("_class_name", "StableDiffusionPipeline"))
    pipeline_class = getattr(diffusers, name, diffusers.StableDiffusionPipeline)
    return _find(classes, pipeline_class, index)


def _find(
    classes: Mapping[str, tuple[str, ...]], pipeline_class: Any, config: Mapping[str, Any]
) -> Family:
    """By the classes of the parts, each one's own before those that it is derived from."""
    name, takes = pipeline_class.__name__, _call_arguments(pipeline_class)
    encoders = {slot for slot in classes if slot.startswith("text_encoder")}
    if name in REFUSED:
        raise UnsupportedPipelineError(f"{name} is not supported: {REFUSED[name]}")
    fits = False
    classes = {**_declared_denoisers(classes, pipeline_class), **classes}
    candidates = [f for f in FAMILIES if f.name == NAMED[name]] if name in NAMED else FAMILIES
    for family in candidates:
        known = {role.slot: role.encoders for role in family.roles}
        needed = {role.slot for role in family.roles if not role.optional}
        if (
            needed <= encoders <= set(known)
            and all(set(classes[slot]) & set(known[slot]) for slot in encoders)
            and set(classes.get(family.denoiser, ())) & set(family.denoiser_classes)
        ):
            fits = True
            embeds = family.arguments.get("prompt_embeds", "prompt_embeds")
            if embeds in takes and family.lacks not in takes:
                return _with_defaults(_configured(family, config), takes)
    needs = getattr(pipeline_class, "_backends", None)
    if fits and needs:
        raise UnsupportedPipelineError(
            f"{name} is not there, as diffusers misses one of {', '.join(needs)}: install it"
        )
    if fits and "prompt_embeds" not in takes:
        raise UnsupportedPipelineError(f"{name} takes no prompt_embeds; {_supported()}")
    found = ", ".join(f"{slot}: {classes[slot][0]}" for slot in sorted(encoders))
    raise UnsupportedPipelineError(
        f"{name} ({found or 'no text encoder'}) is not supported; {_supported()}"
    )


def _declared_denoisers(
    classes: Mapping[str, tuple[str, ...]], pipeline_class: Any
) -> dict[str, tuple[str, ...]]:
    """Slot -> classes of the denoisers that a pipeline's constructor asks for, where it holds none: text encoders only."""
    slots = {family.denoiser for family in FAMILIES}
    if slots & set(classes):
        return {}
    hints = get_type_hints(pipeline_class.__init__)
    kinds = {slot: get_args(hints[slot]) or (hints[slot],) for slot in slots & set(hints)}
    return {slot: tuple(kind.__name__ for kind in found) for slot, found in kinds.items()}


def _configured(family: Family, config: Mapping[str, Any]) -> Family:
    """With what a pipeline's configuration says of its encoders."""
    if not any(role.layer_entry or role.length_entry for role in family.roles):
        return family

    def role_in(role: Role) -> Role:
        layer, length = config.get(role.layer_entry), config.get(role.length_entry)
        layer = tuple(layer) if isinstance(layer, list) else layer
        return replace(
            role,
            layer=role.layer if layer is None else layer,
            length=role.length if length is None else length,
        )

    return replace(family, roles=tuple(map(role_in, family.roles)))


def _with_defaults(family: Family, takes: Mapping[str, Any]) -> Family:
    """Members of a family differ in the length of a T5 row, the negative prompt that stands where none is given, and the
    template of a language model.
    """
    length = takes.get("max_sequence_length")
    negative = takes.get("negative_prompt")
    found = replace(
        family,
        t5_length=length if family.t5_length and isinstance(length, int) else family.t5_length,
        default_negative=negative if isinstance(negative, str) else family.default_negative,
    )
    template = takes.get("prompt_template")
    if family.templated and template is not None:
        found = found.with_template(template_of(template))
    return family if found == family else found


def _supported() -> str:
    return f"supported: {'; '.join(family.name for family in FAMILIES)} (docs/pipelines.md)"
