"""Looking on at a pipeline's denoiser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clipcond.families.finding import family_of_pipeline
from clipcond.hooks.rows import Call


@contextmanager
def called(pipe: Any, look: Callable[[Call], None]) -> Iterator[None]:
    """`look` at each call as it comes to the denoiser itself; what it raises ends the pipeline's call."""

    def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        look(Call(args, kwargs))

    slots = (family_of_pipeline(pipe).denoiser, "transformer_2")
    modules = [getattr(pipe, slot) for slot in slots if getattr(pipe, slot, None) is not None]
    hooks = [module.register_forward_pre_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()
