"""Standing between an object of someone else's and whoever calls it, and going away without a trace.

The object's class is exchanged for one that differs in its `__call__` alone. Torch's forward hooks see every call as
well, but cannot spare one, and the `forward` of an object does not survive offloading: accelerate puts it back after
each run. A class does, and it is no business of offloading, torch.compile or diffusers' own hooks.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# (the object's own call, *args, **kwargs) -> what the caller gets
Around = Callable[..., Any]


@contextmanager
def intercepted(target: Any, around: Around) -> Iterator[None]:
    """Meanwhile, calling the object calls `around`.

    Several may stand there, one before the other, and leave in any order: one that leaves while a later one stays lets
    calls pass, and is gone when that one goes.

    Args:
        target: any object that can be called: a pipeline, a module, a module wrapped by torch.compile.
        around: gets the object's own call first, to make it or not, then the arguments.
    """
    own = type(target)

    @functools.wraps(own.__call__)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self is not target or kind.has_left:  # not it: a copy made meanwhile
            return own.__call__(self, *args, **kwargs)
        return around(functools.partial(own.__call__, self), *args, **kwargs)

    names = {
        "__call__": call,
        "__module__": own.__module__,
        "__doc__": own.__doc__,
        "has_left": False,
    }
    kind: Any = type(own.__name__, (own,), names)
    object.__setattr__(target, "__class__", kind)
    try:
        yield
    finally:
        kind.has_left = True
        while type(target).__dict__.get("has_left"):
            object.__setattr__(target, "__class__", type(target).__base__)
