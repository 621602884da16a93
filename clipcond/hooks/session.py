"""Being inside a pipeline: its call and its denoisers' intercepted once, for all that acts in there.

What acts may come and go in any order. It acts in the pipeline's own calls, each in its thread, and nowhere else: another
pipeline that shares the denoiser is not touched.
"""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from clipcond.errors import ClipcondError
from clipcond.families.contract import Family
from clipcond.hooks.clock import Clock
from clipcond.hooks.control import control
from clipcond.hooks.denoising import denoise
from clipcond.hooks.interception import intercepted
from clipcond.hooks.listed import is_listed, with_tensors
from clipcond.hooks.rows import Call
from clipcond.hooks.run import Run, Session

_AROUND: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("unet", "transformer", "transformer_2", "prior", "decoder"), denoise),
    "controlnet": control,
}
_sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
_changing = threading.Lock()
_run: ContextVar[Run | None] = ContextVar("clipcond_run", default=None)


def session_of(pipe: Any) -> Session | None:
    """What acts inside a pipeline; None for nothing."""
    return _sessions.get(pipe)


@contextmanager
def acting(pipe: Any, family: Family, kind: str, actor: Any) -> Iterator[Session]:
    """Let something act inside a pipeline.

    Args:
        pipe: the pipeline.
        family: its family.
        kind: a field of `Session`.
        actor: what acts.

    Raises:
        ClipcondError: another of its kind acts there already.
    """
    with _changing:
        session = _sessions.get(pipe)
        if session is not None and getattr(session, kind) is not None:
            raise ClipcondError(
                f"{type(pipe).__name__}: {kind} by another `with` block already; leave that one first"
            )
        if session is None:
            session = _sessions[pipe] = _entered(Session(pipe, family))
        setattr(session, kind, actor)
    try:
        yield session
    finally:
        with _changing:
            setattr(session, kind, None)
            if session.is_idle:
                del _sessions[pipe]
                session.stack.close()


def _entered(session: Session) -> Session:
    with ExitStack() as stack:
        stack.enter_context(intercepted(session.pipe, partial(_called, session)))
        for slot, around in _AROUND.items():
            module = getattr(session.pipe, slot, None)
            if isinstance(module, nn.Module):
                stack.enter_context(intercepted(module, partial(_within, session, around, module)))
        session.stack = stack.pop_all()
    return session


def _called(session: Session, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A call of the pipeline: what its strings mean, if someone reads them, and then a run."""
    given = inspect.signature(own).bind(*args, **kwargs)
    if session.installed is None:
        return _drawn(session, own, given)
    with session.installed(dict(given.arguments)) as arguments:
        return _drawn(session, own, inspect.signature(own).bind(**arguments))


def _drawn(session: Session, own: Callable[..., Any], given: inspect.BoundArguments) -> Any:
    args, kwargs = given.args, given.kwargs
    given.apply_defaults()
    arguments = dict(given.arguments)
    run = Run(session, arguments, Clock(session.pipe, arguments.get("num_inference_steps")))
    before = _run.set(run)
    try:
        return own(*args, **kwargs)
    finally:
        _run.reset(before)


def _within(
    session: Session,
    around: Callable[..., Any],
    module: nn.Module,
    own: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """A call of a denoiser, ours where it belongs to a run of this session."""
    run = _run.get()
    if run is None or run.session is not session:
        return own(*args, **kwargs)
    call = Call(args, kwargs)
    if is_listed(call):
        return with_tensors(run, module, call, around=around, own=own)
    return around(run, module, own, *args, **kwargs)
