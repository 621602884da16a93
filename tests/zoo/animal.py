"""What the zoo is made of: the entry type and the way a pipeline is put together."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import diffusers
import torch

Parts = dict[str, Callable[[], Any]]


@dataclass(frozen=True, slots=True)
class Animal:
    """A pipeline class of diffusers in its smallest living form.

    Attributes:
        name: The class's name in diffusers.
        build: Makes the pipeline: random weights, CPU, fp32, eval, the same at every call.
        call: What its call needs beside prompt and negative_prompt for a run of one or two steps.
        prompt: The argument of the call that takes the prompt.
        needs: A package that diffusers imports for a prompt that is a string, and does not declare.
    """

    name: str
    build: Callable[[], Any]
    call: Callable[[], dict[str, Any]]
    prompt: str = "prompt"
    needs: str = ""


def animal(
    name: str,
    parts: Parts,
    call: Callable[[], dict[str, Any]],
    *,
    prompt: str = "prompt",
    needs: str = "",
    **options: Any,
) -> tuple[str, Animal]:
    """(name, entry) of a class whose constructor takes `parts` by name and `options` as they are."""
    return name, Animal(
        name, lambda: assemble(getattr(diffusers, name), parts, options), call, prompt, needs
    )


def resized(entry: tuple[str, Animal], **sizes: Any) -> tuple[str, Animal]:
    """The same, with attributes of the pipeline set that no argument reaches: the sizes that it draws at."""
    name, found = entry

    def build() -> Any:
        pipe = found.build()
        for attribute, value in sizes.items():
            setattr(pipe, attribute, value)
        return pipe

    return name, replace(found, build=build)


def assemble(pipeline_class: type, parts: Parts, options: dict[str, Any]) -> Any:
    """The pipeline made of those `parts` that its constructor names; required ones without a part are None."""
    taken: dict[str, Any] = {}
    for key, parameter in inspect.signature(pipeline_class.__init__).parameters.items():
        if key in parts:
            torch.manual_seed(0)
            taken[key] = parts[key]()
        elif key in options:
            taken[key] = options[key]
        elif key != "self" and parameter.default is parameter.empty:
            taken[key] = None
    pipe = pipeline_class(**taken)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    pipe.set_progress_bar_config(disable=True)
    return pipe
