"""Being inside a pipeline: its call and its denoisers' intercepted once, for all that acts in there.

What acts may come and go in any order. Each acts in the calls of the thread that makes them, and nowhere else: another
pipeline that shares the denoiser, or another thread, is not touched.
"""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch

from clipcond.errors import ClipcondError
from clipcond.families.contract import Family
from clipcond.hooks.clock import Clock
from clipcond.hooks.guidance import Guidance
from clipcond.hooks.interception import intercepted
from clipcond.hooks.states import States

CONTROLS = ("controlnet",)
DENOISERS = ("unet", "transformer", "transformer_2", "prior", "decoder")
# a pipeline's arguments -> others that say what its texts mean
Translate = Callable[[dict[str, Any]], AbstractContextManager[dict[str, Any]]]


@dataclass(slots=True, eq=False)
class Session:
    """What acts inside a pipeline at present; each of them at most once.

    Attributes:
        pipe: the pipeline.
        family: its family.
        attached: what its prompts say over the steps.
        guidance: when and how strongly it guides.
        maps: who watches its attention.
        installed: who reads the strings that it is called with.
    """

    pipe: Any
    family: Family
    attached: States | None = None
    guidance: Guidance | None = None
    maps: Any = None
    installed: Translate | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def is_idle(self) -> bool:
        """Whether nothing acts any more."""
        return not any((self.attached, self.guidance, self.maps, self.installed))


@dataclass(slots=True, eq=False)
class Run:
    """One call of a pipeline.

    Attributes:
        session: what acts in it.
        arguments: of the call, with their defaults.
        clock: where it is.
        kept: what a denoiser's call for the positive side left for the one for the negative side, by moments.
        expanded: rows that a ControlNet gave beyond those that the pipeline asked for, by the ids of what it was handed.
    """

    session: Session
    arguments: dict[str, Any]
    clock: Clock
    kept: dict[Any, Any] = field(default_factory=dict)
    expanded: dict[int, Any] = field(default_factory=dict)


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
                f"{type(pipe).__name__} has another one {kind} already: leave that `with` block before entering this one"
            )
        if session is None:
            session = _entered(Session(pipe, family))
            _sessions[pipe] = session
        setattr(session, kind, actor)
    try:
        yield session
    finally:
        with _changing:
            setattr(session, kind, None)
            if session.is_idle:
                del _sessions[pipe]
                session._stack.close()  # noqa: SLF001 its own module


def _entered(session: Session) -> Session:
    from clipcond.hooks.control import control
    from clipcond.hooks.denoising import denoise

    with ExitStack() as stack:
        stack.enter_context(intercepted(session.pipe, partial(_call, session)))
        for slots, around in ((DENOISERS, denoise), (CONTROLS, control)):
            for slot in slots:
                module = getattr(session.pipe, slot, None)
                if isinstance(module, torch.nn.Module):
                    stack.enter_context(intercepted(module, partial(_within, session, around)))
        session._stack = stack.pop_all()  # noqa: SLF001 its own module
    return session


def _call(session: Session, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A call of the pipeline."""
    bound = inspect.signature(own).bind(*args, **kwargs)
    if session.installed is not None:
        with session.installed(dict(bound.arguments)) as arguments:
            return _drawn(session, own, inspect.signature(own).bind(**arguments))
    return _drawn(session, own, bound)


def _drawn(session: Session, own: Callable[..., Any], bound: inspect.BoundArguments) -> Any:
    given = (bound.args, bound.kwargs)
    bound.apply_defaults()
    arguments = dict(bound.arguments)
    token = _run.set(Run(session, arguments, Clock(session.pipe, arguments.get("num_inference_steps"))))
    try:
        return own(*given[0], **given[1])
    finally:
        _run.reset(token)


def _within(
    session: Session, around: Callable[..., Any], own: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """A call of a denoiser, which is ours where it belongs to a run of this session."""
    run = _run.get()
    if run is None or run.session is not session:
        return own(*args, **kwargs)
    return around(run, own, *args, **kwargs)
