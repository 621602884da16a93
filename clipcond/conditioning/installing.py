"""Reading the strings that a pipeline is called with: what `Conditioner.installed` does to a call's arguments."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipcond.encoders.lora_scale import lora_layers
from clipcond.families.finding import call_arguments
from clipcond.prompt import parse
from clipcond.prompt.states import LONGEST

if TYPE_CHECKING:
    from clipcond.conditioning.conditioner import Conditioner

_TEXTS = tuple(f"{side}prompt{number}" for side in ("", "negative_") for number in ("", "_2", "_3"))
_SCALES = ("cross_attention_kwargs", "joint_attention_kwargs", "attention_kwargs")


@contextmanager
def translated(
    conditioner: "Conditioner", pipe: Any, arguments: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The arguments of a pipeline's call with tensors for its strings, and what these say over the steps attached.

    Where no string says more than the pipeline would read in it, the arguments are as they came.

    Args:
        conditioner: reads the strings.
        pipe: the pipeline.
        arguments: as typed, without defaults.
    """
    texts = {name: arguments[name] for name in _TEXTS if arguments.get(name) is not None}
    given: dict[str, Any] = {"max_sequence_length": arguments.get("max_sequence_length")}
    if conditioner.family.sees:
        given["image"] = arguments.get("image")
    if not _are_texts(texts) or not _says_more(conditioner, texts, given):
        yield arguments
        return
    if arguments.get("clip_skip") is not None:
        skipping = replace(conditioner.options, clip_skip=arguments["clip_skip"])
        conditioner = replace(conditioner, options=skipping)
    steps = _steps(pipe, arguments)
    scale = _lora_scale(conditioner, arguments)
    conditioning = conditioner(**texts, **given, steps=steps, lora_scale=scale)
    others = {name: value for name, value in arguments.items() if name not in _TEXTS}
    with conditioning.attached(pipe):
        pictures = others.pop("num_images_per_prompt", None) or 1
        yield {**others, **conditioning.kwargs_for(pipe, pictures)}


def _are_texts(texts: Mapping[str, Any]) -> bool:
    """Whether there is a prompt, and all of them are strings or lists: some pipelines take mappings of frames."""
    return "prompt" in texts and all(isinstance(text, str | list) for text in texts.values())


def _says_more(
    conditioner: "Conditioner", texts: Mapping[str, Any], given: Mapping[str, Any]
) -> bool:
    """Whether the pipeline itself would read the strings otherwise: as they are typed, up to its length."""
    each = [one for text in texts.values() for one in ([text] if isinstance(text, str) else text)]
    if conditioner.options.clip_skip is not None or any(
        path.tokenizer.inversions for path in conditioner.paths
    ):
        return True
    for text in each:
        prompt = parse(text, dialect=conditioner.dialect)
        if prompt.parts or prompt.is_scheduled or prompt.tags:
            return True
        if [(f.text, f.weight) for f in prompt.fragments()] != [(text, 1.0)]:
            return True
    report = conditioner.report(**texts, **given)
    return any(seen.chunks > 1 or seen.cut for *_, seen in report.rows())


def _steps(pipe: Any, arguments: Mapping[str, Any]) -> int | None:
    """How many steps to encode for: any number, unless the run is longer than that."""
    asked = arguments.get("num_inference_steps") or call_arguments(pipe).get("num_inference_steps")
    steps = int(asked or 1) * int(getattr(pipe.scheduler, "order", None) or 1)
    return steps if steps > LONGEST else None


def _lora_scale(conditioner: "Conditioner", arguments: Mapping[str, Any]) -> float | None:
    """The scale that the pipeline would give its text encoders' LoRAs, where they have any."""
    scales = [(arguments.get(name) or {}).get("scale") for name in _SCALES]
    has_loras = any(True for path in conditioner.paths for _ in lora_layers(path.encoder.module))
    return next((scale for scale in scales if scale is not None), None) if has_loras else None
