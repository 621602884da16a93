"""What the zoo is made of: the entry type and the way a pipeline is put together."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffusers
import torch

Parts = dict[str, Callable[[], Any]]
Call = Callable[[], dict[str, Any]]


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
    call: Call
    prompt: str = "prompt"
    needs: str = ""


def family(
    parts: Parts,
    options: dict[str, Any] | None = None,
    *,
    prompt: str = "prompt",
    needs: str = "",
    **calls: Call,
) -> dict[str, Animal]:
    """{class: entry} of classes whose constructors take `parts` by name and `options` as they are, each with its call."""
    return {
        name: Animal(name, partial(assemble, name, parts, options or {}), call, prompt, needs)
        for name, call in calls.items()
    }


def assemble(kind: str | type, parts: Parts, options: dict[str, Any]) -> Any:
    """The pipeline made of those `parts` that its constructor names; required ones without a part are None.

    An option that the constructor does not take, but the pipeline has, is set afterwards: a size that it draws at.
    """
    pipeline_class = getattr(diffusers, kind) if isinstance(kind, str) else kind
    known = inspect.signature(pipeline_class.__init__).parameters
    taken: dict[str, Any] = {}
    for key, parameter in known.items():
        if key in parts:
            torch.manual_seed(0)
            taken[key] = parts[key]()
        elif key in options:
            taken[key] = options[key]
        elif key != "self" and parameter.default is parameter.empty:
            taken[key] = None
    pipe = pipeline_class(**taken)
    for key in options.keys() - known.keys():
        if not hasattr(pipe, key):
            raise TypeError(f"{kind} neither takes nor has {key}")
        setattr(pipe, key, options[key])
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    pipe.set_progress_bar_config(disable=True)
    return pipe
