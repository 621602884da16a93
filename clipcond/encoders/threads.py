"""What keeps calls on one encoder apart, where they come from several threads.

A forward changes nothing that another one reads, with two exceptions, which are met here: modules that move or rebuild
their own weights while they run, and compiled ones that have to run as they were written.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from weakref import WeakKeyDictionary

import torch
from torch import nn

from clipcond.identity import as_written

_HOOKS = ("_hf_hook", "_diffusers_hook")  # accelerate's; diffusers' group offloading and casting
_REBUILT = "bitsandbytes"  # its layers unpack their weights in the first forward
_locks: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_changing = threading.Lock()  # whoever changes what is counted here
_eager = ExitStack()
_eager_users = 0


@contextmanager
def exclusive(module: nn.Module) -> Iterator[None]:
    """One thread at a time, where a forward changes the module: offloaded, cast layer by layer, of bitsandbytes."""
    module = as_written(module)
    if not any(_changes_itself(part) for part in module.modules()):
        yield
        return
    with _changing:
        lock = _locks.setdefault(module, threading.RLock())
    with lock:
        yield


def _changes_itself(part: nn.Module) -> bool:
    hooked = any(getattr(part, name, None) is not None for name in _HOOKS)
    return hooked or type(part).__module__.startswith(_REBUILT)


@contextmanager
def uncompiled(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Run modules as they were written, where torch.compile has been at them or at a part of them.

    Compiled code sees no hook that came after it. torch knows one stance for all threads, so those that want this one
    are counted: compiled code of other threads runs uncompiled meanwhile, which is the same up to rounding.
    """
    global _eager_users  # noqa: PLW0603 torch's stance is global as well
    if not _any_compiled(modules):
        yield
        return
    with _changing:
        if not _eager_users:
            _eager.enter_context(torch.compiler.set_stance("force_eager"))
        _eager_users += 1
    try:
        yield
    finally:
        with _changing:
            _eager_users -= 1
            if not _eager_users:
                _eager.close()


def between_compilations(modules: Sequence[nn.Module]) -> AbstractContextManager[object]:
    """Held while modules change that another thread may be compiling, for a moment only.

    torch traces a module first and writes down what its code depends on afterwards: a hook that came before the one and
    went before the other is an IndexError in that thread.
    """
    if not _any_compiled(modules):
        return nullcontext()
    from torch._dynamo.convert_frame import compile_lock  # costs a second where nothing is compiled

    return compile_lock


def _any_compiled(modules: Sequence[nn.Module]) -> bool:
    return any(_is_compiled(part) for module in modules for part in module.modules())


def _is_compiled(part: nn.Module) -> bool:
    return hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None
