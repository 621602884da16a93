"""Standing between a denoiser's attention and torch: each scaled dot product attention seen, and its mask changed.

Nothing of the denoiser is replaced, so that its own processors run, whichever they are: an IP-Adapter's, a joint one's,
or one that goes by diffusers' `dispatch_attention_fn`. What stands between is a mode of torch's, of this thread alone, and
for the length of a forward hooks that tell which module is running.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from clipcond.encoders.threads import uncompiled
from clipcond.errors import UnsupportedPipelineError
from clipcond.identity import as_written

_TAKES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """One scaled dot product attention.

    Attributes:
        name: of the module that it is in, as `attention_modules` has it.
        module: that module.
        other: the other sequence that the module was called with, beside its own; None for none.
        query: [rows, heads, queries, dim].
        key: [rows, heads, keys, dim]; of fewer heads where several queries' share one.
        mask: that is given; boolean, or to be added; None for none.
        scale: of the products; None for dim ** -0.5.
    """

    name: str
    module: nn.Module
    other: torch.Tensor | None
    query: torch.Tensor
    key: torch.Tensor
    mask: torch.Tensor | None
    scale: float | None


# what is about to be attended -> the mask to do it with: `attention.mask` for the one that is there
Change = Callable[[Attention], torch.Tensor | None]


def attention_modules(denoiser: nn.Module) -> dict[str, nn.Module]:
    """The attention modules of one of diffusers' denoisers, by their names in it, in its order."""
    return {
        name: module
        for name, module in as_written(denoiser).named_modules()
        if hasattr(module, "processor")
    }


@contextmanager
def attending(denoiser: nn.Module, change: Change) -> Iterator[None]:
    """Meanwhile, each attention of a denoiser that this thread computes is seen by `change` first.

    To be entered around a forward, as often as one likes: the one that is entered last comes first, and the others see its
    mask. Code of torch.compile runs as it was written.

    Args:
        denoiser: any of diffusers'.
        change: called before each attention; one that gives back `attention.mask` changes nothing at all.

    Raises:
        UnsupportedPipelineError: a module read another sequence by other means than torch's.
    """
    mode = Attending(change)
    with ExitStack() as stack:
        stack.enter_context(uncompiled([denoiser]))
        stack.enter_context(mode.within(attention_modules(denoiser)))
        stack.enter_context(mode)
        yield


@dataclass(slots=True, eq=False)
class _Running:
    """A module whose forward has begun.

    Attributes:
        name: of it.
        module: it.
        other: as of `Attention`.
        seen: whether it has attended by torch's means.
    """

    name: str
    module: nn.Module
    other: torch.Tensor | None
    seen: bool = False


class Attending(TorchFunctionMode):
    """Hands each attention to someone who may change its mask."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change
        self._running: list[_Running] = []
        self._thread = threading.get_ident()

    @contextmanager
    def within(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Meanwhile, it knows which of the modules runs. They may run in other threads too, which is no business of it."""
        with ExitStack() as stack:
            for name, module in modules.items():
                for handle in (
                    module.register_forward_pre_hook(self._begun(name), with_kwargs=True),
                    module.register_forward_hook(self._ended, always_call=True),
                ):
                    stack.callback(handle.remove)
            yield

    def _begun(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            if threading.get_ident() == self._thread:
                second = args[1] if len(args) > 1 else None
                other = kwargs.get("encoder_hidden_states", second)
                self._running.append(_Running(name, module, other))

        return hook

    def _ended(self, module: nn.Module, _: Any, output: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        running = self._running.pop()
        # there is no output where the module raised something
        if output is not None and running.other is not None and not running.seen:
            raise UnsupportedPipelineError(
                f"{running.name}: its {type(module.processor).__name__} attends without torch's scaled_dot_product_attention, "
                f"so that nothing can be seen of it: call {_repair(module)}"
            )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not scaled_dot_product_attention or not self._running:
            return func(*args, **kwargs)
        running = self._running[-1]
        running.seen = True
        given = {**dict(zip(_TAKES, args, strict=False)), **kwargs}
        mask = given.get("attn_mask")
        changed = self._change(
            Attention(
                name=running.name,
                module=running.module,
                other=running.other,
                query=given["query"],
                key=given["key"],
                mask=mask,
                scale=given.get("scale"),
            )
        )
        if changed is mask:
            return func(*args, **kwargs)
        return func(**{**given, "attn_mask": changed})


def _repair(module: nn.Module) -> str:
    """What the user can do that makes a module attend by torch's means."""
    kind = type(module.processor).__name__
    if "Sliced" in kind:
        return "pipe.disable_attention_slicing()"
    if "XFormers" in kind:
        return "pipe.disable_xformers_memory_efficient_attention()"
    if hasattr(module.processor, "_attention_backend"):
        return "set_attention_backend('native') of the denoiser"
    return "set_attn_processor of the denoiser with a processor whose name ends in 2_0, such as AttnProcessor2_0()"
