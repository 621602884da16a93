"""What acts inside a pipeline, and one call of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from clipcond.families.contract import Family
from clipcond.hooks.clock import Clock, Moment
from clipcond.hooks.guidance import Guidance
from clipcond.hooks.plan import Job
from clipcond.hooks.rows import Known
from clipcond.hooks.states import States
from clipcond.hooks.words import Texts

# a pipeline's arguments -> others that say what its texts mean
Translate = Callable[[dict[str, Any]], AbstractContextManager[dict[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One forward of a denoiser, as those see it who act on its attention.

    Attributes:
        run: of which it is one.
        module: the denoiser.
        jobs: its rows.
        moment: when.
        sample: the noisy pictures, before rows were added to them or taken away.
    """

    run: "Run"
    module: nn.Module
    jobs: Sequence[Job]
    moment: Moment
    sample: torch.Tensor


@runtime_checkable
class Watcher(Protocol):
    """Who acts on the attention of a denoiser."""

    def during(self, look: Look) -> AbstractContextManager[None]:
        """Entered for the length of a forward."""


@runtime_checkable
class Maps(Watcher, Protocol):
    """Who wants to know which words are read in it."""

    def told(self, handed: torch.Tensor, texts: Texts) -> None:
        """What the tensor that a call will be handed says."""


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
        stack: what is put back when nothing acts any more.
    """

    pipe: Any
    family: Family
    attached: States | None = None
    guidance: Guidance | None = None
    maps: Maps | None = None
    installed: Translate | None = None
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def watchers(self) -> list[Watcher]:
        """Who acts on the denoiser's attention."""
        return [] if self.maps is None else [self.maps]

    @property
    def is_idle(self) -> bool:
        """Whether nothing acts any more."""
        return not any((self.attached, self.guidance, self.maps, self.installed))


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What the denoiser's call for the positive side left for the one for the negative side.

    Attributes:
        moment: of both.
        output: what the pipeline was given.
        unconditional: the tensors of what it is to be given; () where they are still to be computed.
    """

    moment: Moment
    output: Any
    unconditional: tuple[torch.Tensor, ...]


@dataclass(slots=True, eq=False)
class Run:
    """One call of a pipeline.

    Attributes:
        session: what acts in it.
        arguments: of the call, with their defaults.
        clock: where it is.
        kept: of the last call for the positive side alone.
        known: see `Call.found`.
        ran: the jobs of the denoiser's last forward for the negative side alone (True), and of its last other one.
        controls: what a ControlNet gave for each job, by the id of the tensor that the pipeline was given instead.
    """

    session: Session
    arguments: Mapping[str, Any]
    clock: Clock
    kept: Kept | None = None
    known: Known = field(default_factory=dict)
    ran: dict[bool, Sequence[Job]] = field(default_factory=dict)
    controls: dict[int, tuple[torch.Tensor, Mapping[Job, torch.Tensor]]] = field(
        default_factory=dict
    )
