"""The scale of the LoRAs on text encoders (Hu et al. 2021), for the length of an encoding."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from clipcond.errors import ClipcondError


@contextmanager
def lora_scaled(modules: Sequence[Any], scale: int | float | None) -> Iterator[None]:
    """Multiply what every active LoRA layer adds by `scale`, and put back exactly what was there.

    Args:
        modules: text encoders with peft's layers in them, as diffusers loads LoRAs.
        scale: None leaves all as it is.

    Raises:
        ClipcondError: no encoder has a LoRA, or one is merged into the weights, where no scale can reach it.
    """
    if scale is None:
        yield
        return
    layers = [
        part
        for module in modules
        for part in module.modules()
        if hasattr(part, "scale_layer") and hasattr(part, "scaling")
    ]
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
        for layer in layers:
            stack.callback(_restore, layer, dict(layer.scaling))
            layer.scale_layer(scale)
        yield


def _restore(layer: Any, scaling: dict[str, float]) -> None:
    """Not by peft's `unscale_layer`, which divides and so leaves other last bits."""
    layer.scaling.clear()
    layer.scaling.update(scaling)
