"""The rows a call needs, each once, and what each of them is for.

Everything that a call asks of an encoder goes through it together: the windows of every prompt, positive and negative,
the branches of blended ones, what the weighting mode wants beside them, and the empty window that makes all prompts one
length. Only the mixtures are kept per prompt; equal rows are encoded once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from clipcond.conditioning.reading import Reading
from clipcond.conditioning.repeats import once_each
from clipcond.families.inputs import Sides
from clipcond.families.text_path import TextPath
from clipcond.tokens import Chunk, Ids
from clipcond.weighting import Mixture, Mode, Row


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a prompt.

    Attributes:
        mixture: what it is made of.
        places: where its rows are in the plan's rows.
        inside: the positions that are no padding.
    """

    mixture: Mixture
    places: tuple[int, ...]
    inside: Ids

    @property
    def length(self) -> int:
        """Positions."""
        return len(self.mixture.rows[0].ids)

    @property
    def end_shares(self) -> tuple[float, ...]:
        """How much of each row is in the mixture at the end of text."""
        end = self.inside[-1]
        return tuple(coefficients[end] for coefficients in self.mixture.coefficients)

    @property
    def content(self) -> torch.Tensor:
        """[tokens]: which positions are no padding."""
        found = torch.zeros(self.length, dtype=torch.bool)
        found[list(self.inside)] = True
        return found


@dataclass(frozen=True, slots=True)
class Branch:
    """A prompt, or one of several that are joined to one."""

    weight: float
    windows: tuple[Window, ...]

    @property
    def length(self) -> int:
        """Positions of all windows."""
        return sum(window.length for window in self.windows)


@dataclass(frozen=True, slots=True)
class Planned:
    """One prompt's branches and how they are joined: "blend", "concat" or "" (there is one)."""

    branches: tuple[Branch, ...]
    joined: str

    @property
    def length(self) -> int:
        """Positions of its result."""
        lengths = [branch.length for branch in self.branches]
        return sum(lengths) if self.joined == "concat" else max(lengths)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one encoder is to encode, and for what.

    Attributes:
        rows: distinct rows.
        sides: the prompts of each side, in order.
        lengths: positions that each prompt's result is to have, by side.
        empty: where the empty prompt's row is, to fill up with or to move away from; -1 if no prompt needs it.
    """

    rows: tuple[Row, ...]
    sides: Sides[tuple[Planned, ...]]
    lengths: Sides[int]
    empty: int


def make_plans(
    paths: Sequence[TextPath],
    readings: Mapping[str, Sides[Sequence[Reading]]],
    mode: Mode,
    pooled: slice,
) -> dict[str, Plan]:
    """A plan for each encoder, by its slot; CLIPs whose states the denoiser reads get as many windows.

    Sides are of one length, but where a language model's rows are filled up to the longest of each.

    Args:
        paths: the encoders.
        readings: what each of them reads, by its slot.
        mode: what weights do.
        pooled: the windows that a pooled vector speaks of; encoders of which the denoiser reads no more encode no others.
    """
    used = {
        path.role.slot: {
            side: asked if path.role.sequence else once_each(lambda r: r.only(pooled), asked)
            for side, asked in readings[path.role.slot].items()
        }
        for path in paths
    }
    shared = [path.role.slot for path in paths if path.role.sequence and path.role.windowed]
    longest = {
        slot: {side: max(r.length for r in asked) for side, asked in sides.items()}
        for slot, sides in used.items()
    }
    windows = max((max(longest[slot].values()) for slot in shared), default=0)

    def lengths(path: TextPath) -> Sides[int]:
        own = longest[path.role.slot]
        if path.role.filled == "longest":
            return own
        common = windows if path.role.slot in shared else max(own.values())
        return dict.fromkeys(own, common)

    return {
        path.role.slot: _plan(used[path.role.slot], mode, path, lengths(path)) for path in paths
    }


def _plan(
    readings: Sides[Sequence[Reading]], mode: Mode, path: TextPath, lengths: Sides[int]
) -> Plan:
    """Collect the rows of all prompts; each prompt's result is to have so many positions as its side."""
    places: dict[Row, int] = {}

    def branch(side: str, weight: float, chunks: Sequence[Chunk]) -> Branch:
        frame, mask = path.tokenizer_of(side).frame, path.tokenizer.mask
        empty = frame.emptied(max(len(chunk.ids) for chunk in chunks))
        windows = []
        for chunk, mixture in zip(chunks, mode.mixtures(chunks, empty, mask), strict=True):
            rows = tuple(
                places.setdefault(row._replace(before=chunk.before), len(places))
                for row in mixture.rows
            )
            windows.append(Window(mixture, rows, frame.inside(chunk)))
        return Branch(weight, tuple(windows))

    def planned(side: str, reading: Reading) -> Planned:
        found = tuple(branch(side, weight, chunks) for weight, chunks in reading.branches)
        return Planned(found, reading.joined)

    sides = {
        side: tuple(once_each(partial(planned, side), asked)) for side, asked in readings.items()
    }
    empty = -1
    if any(_needs_empty(planned, lengths[side]) for side in sides for planned in sides[side]):
        chunk = path.tokenizer.frame.empty
        empty = places.setdefault(Row(chunk.ids, before=chunk.before), len(places))
    return Plan(tuple(places), sides, lengths, empty)


def _needs_empty(planned: Planned, length: int) -> bool:
    lengths = [branch.length for branch in planned.branches]
    if planned.joined == "concat":
        return sum(lengths) < length or any(branch.weight != 1 for branch in planned.branches)
    return min(lengths) < length
