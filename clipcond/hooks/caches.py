"""diffusers' caches inside a denoiser (first-block, pyramid attention, ...), which would go on with an earlier text."""

from typing import Any

from torch import nn

from clipcond.identity import as_written


def emptied(module: nn.Module) -> None:
    """Empty the caches that a denoiser has, if it has any, in the middle of a pipeline's step.

    Emptying them also makes them forget which of guidance's calls they are in, which the pipeline tells them once a step.
    """
    inner: Any = as_written(module)
    if getattr(inner, "_cache_config", None) is None:
        return
    contexts = [(manager, manager._context) for manager in _managers(inner)]  # noqa: SLF001 no public name
    inner._reset_stateful_cache()  # noqa: SLF001 no public name
    for manager, context in contexts:
        manager.set_context(context)


def _managers(module: nn.Module) -> list[Any]:
    """What keeps the state of each cache, by guidance's calls; some keep theirs without."""
    registries = (getattr(part, "_diffusers_hook", None) for part in module.modules())
    return [
        value
        for registry in registries
        if registry is not None
        for hook in registry.hooks.values()
        for value in vars(hook).values()
        if hasattr(value, "set_context")
    ]
