"""The scale of the LoRAs on text encoders (Hu et al. 2021), for the length of an encoding.

A layer's scaling is shared by all threads that call the encoder, the pipeline's own among them. So it is not changed: in
its place stands a mapping that gives each thread the layer's own value, times the scale of that thread's call.
"""

import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

from clipcond.encoders.threads import between_compilations, uncompiled
from clipcond.errors import ClipcondError

_scale: ContextVar[float] = ContextVar("clipcond_lora_scale", default=1.0)
_changing = threading.Lock()


class _Scaled(MutableMapping[str, float]):
    """A layer's scaling, read times the scale of the reader's own call; everything else is the original's business."""

    def __init__(self, original: MutableMapping[str, float]) -> None:
        self.original, self.users = original, 0

    def __getitem__(self, adapter: str) -> float:
        own = self.original[adapter]
        # scaled calls run uncompiled: whoever compiles is another thread
        return own if torch.compiler.is_dynamo_compiling() else own * _scale.get()

    def __setitem__(self, adapter: str, value: float) -> None:
        self.original[adapter] = value

    def __delitem__(self, adapter: str) -> None:
        del self.original[adapter]

    def __iter__(self) -> Iterator[str]:
        return iter(self.original)

    def __len__(self) -> int:
        return len(self.original)


def lora_layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """peft's layers, by path; peft itself need not be installed."""
    for path, part in module.named_modules():
        if hasattr(part, "scale_layer") and hasattr(part, "scaling"):
            yield path, part


@contextmanager
def lora_scaled(modules: Sequence[nn.Module], scale: int | float | None) -> Iterator[None]:
    """Multiply what every active LoRA layer adds by `scale`, for this thread only, and put back exactly what was there.

    Args:
        modules: text encoders with peft's layers in them, as diffusers loads LoRAs.
        scale: None leaves all as it is.

    Raises:
        ClipcondError: no encoder has a LoRA, or one is merged into the weights, where no scale can reach it.
    """
    if scale is None:
        yield
        return
    layers = [layer for module in modules for _, layer in lora_layers(module)]
    if not layers:
        raise ClipcondError(
            f"lora_scale={scale:g}: no text encoder has a LoRA; leave it out, or load one with pipe.load_lora_weights"
        )
    if any(layer.merged for layer in layers):
        raise ClipcondError(
            f"lora_scale={scale:g}: the LoRA is merged into the weights, where no scale can reach it; "
            "call pipe.unfuse_lora() first"
        )
    with ExitStack() as stack:
        stack.callback(_give_back, modules, layers, _shared(modules, layers))
        stack.callback(_scale.reset, _scale.set(scale))
        stack.enter_context(uncompiled(modules))
        yield


def _shared(modules: Sequence[nn.Module], layers: Sequence[Any]) -> list[_Scaled]:
    """The layers' scalings as calls with scales share them; the first of them puts them there."""
    found = []
    with between_compilations(modules), _changing:
        for layer in layers:
            if not isinstance(layer.scaling, _Scaled):
                layer.scaling = _Scaled(layer.scaling)
            layer.scaling.users += 1
            found.append(layer.scaling)
    return found


def _give_back(
    modules: Sequence[nn.Module], layers: Sequence[Any], scalings: Sequence[_Scaled]
) -> None:
    """The last of them puts back what was there."""
    with between_compilations(modules), _changing:
        for layer, scaling in zip(layers, scalings, strict=True):
            scaling.users -= 1
            if not scaling.users and layer.scaling is scaling:
                layer.scaling = scaling.original
