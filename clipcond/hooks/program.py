"""What is said to a denoiser when: for each prompt its parts, and for each part a track through rows of encoded states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from clipcond.errors import ClipcondError
from clipcond.families.inputs import Sides
from clipcond.hooks.clock import Moment
from clipcond.hooks.easing import CURVES, EASINGS
from clipcond.hooks.region import Region
from clipcond.prompt.states import Said, said
from clipcond.prompt.tree import Prompt, shortened


@dataclass(frozen=True, slots=True)
class Mixed:
    """What is read at a moment: a row of a side's inputs, or what lies between two.

    Attributes:
        row: the one.
        other: the other.
        share: how far from one to the other, 0 to 1.
        curve: a key of `CURVES`.
    """

    row: int
    other: int = 0
    share: float = 0.0
    curve: str = "lerp"


@runtime_checkable
class Track(Protocol):
    """What one part of a prompt says over the steps."""

    def at(self, moment: Moment) -> Mixed:
        """What it says at a moment."""

    @property
    def rows(self) -> tuple[int, ...]:
        """All that it ever says."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One row, always."""

    row: int

    def at(self, moment: Moment) -> Mixed:  # noqa: ARG002 the protocol's
        """It."""
        return Mixed(self.row)

    @property
    def rows(self) -> tuple[int, ...]:
        """It alone."""
        return (self.row,)


@dataclass(frozen=True, slots=True)
class Steps:
    """What scheduled prompts say, step by step.

    Attributes:
        prompts: what the first text encoder reads, the second, ...; each one prompt, or one branch of it.
        places: what they say together -> the row of that.
    """

    prompts: tuple[Prompt, ...]
    places: Mapping[Said, int]

    def at(self, moment: Moment) -> Mixed:
        """The row of what is said at the step.

        Raises:
            ClipcondError: it was not encoded: the run has a number of steps that nobody told.
        """
        state = tuple(prompt.fragments(moment.step, moment.steps) for prompt in self.prompts)
        row = self.places.get(said(state))
        if row is None:
            raise ClipcondError(
                f"{shortened(self.prompts[0].text)!r} says something at step {moment.step + 1} of {moment.steps} that was "
                f"not encoded: condition with steps={moment.steps}"
            )
        return Mixed(row)

    @property
    def rows(self) -> tuple[int, ...]:
        """In the order in which they are first said."""
        return tuple(self.places.values())


@dataclass(frozen=True, slots=True)
class Keyframes:
    """Rows at shares of the run, and what lies between them.

    Attributes:
        shares: rising, the first 0.
        keys: the row at each.
        easing: a key of `EASINGS`.
        curve: a key of `CURVES`.
    """

    shares: tuple[float, ...]
    keys: tuple[int, ...]
    easing: str
    curve: str

    def at(self, moment: Moment) -> Mixed:
        """The last row whose share is reached, on its way to the next."""
        number = sum(share <= moment.share for share in self.shares) - 1
        if number + 1 == len(self.keys):
            return Mixed(self.keys[number])
        start, end = self.shares[number : number + 2]
        share = EASINGS[self.easing]((moment.share - start) / (end - start))
        return Mixed(self.keys[number], self.keys[number + 1], share, self.curve)

    @property
    def rows(self) -> tuple[int, ...]:
        """Each once."""
        return tuple(dict.fromkeys(self.keys))


@dataclass(frozen=True, slots=True)
class Part:
    """A prompt, or one of several that are composed.

    Attributes:
        track: what it says.
        operator: how it is composed: a key of `OPERATORS`.
        weight: how much.
    """

    track: Track
    operator: str = "AND"
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """A region, and what is said there."""

    region: Region
    track: Track


@dataclass(frozen=True, slots=True)
class Script:
    """One prompt over a run.

    Attributes:
        parts: at least one; several are composed.
        places: where something else is said.
    """

    parts: tuple[Part, ...]
    places: tuple[Place, ...] = ()

    @property
    def is_composed(self) -> bool:
        """Whether its prediction is not that of a text."""
        return len(self.parts) > 1 or self.parts[0].weight != 1

    @property
    def rows(self) -> tuple[int, ...]:
        """All that it ever says."""
        tracks = (*(part.track for part in self.parts), *(place.track for place in self.places))
        return tuple(row for track in tracks for row in track.rows)

    @property
    def is_plain(self) -> bool:
        """Whether it is one row, always and everywhere."""
        constant = isinstance(self.parts[0].track, Constant)
        return constant and not self.is_composed and not self.places


# a script for each prompt of a side
Scripts = Sides[tuple[Script, ...]]


def plain(count: int) -> tuple[Script, ...]:
    """The scripts of prompts that each say their own row."""
    return tuple(Script((Part(Constant(row)),)) for row in range(count))


def read(tensor: torch.Tensor, mixed: Mixed, dim: int) -> torch.Tensor:
    """What a moment reads of encoded states that lie along `dim`: one of them, without that dimension."""
    row = tensor.select(dim, mixed.row)
    if not mixed.share:
        return row
    other = tensor.select(dim, mixed.other)
    if not tensor.is_floating_point():  # a mask: looked at for either's sake
        return torch.maximum(row, other)
    return CURVES[mixed.curve](row, other, mixed.share)
