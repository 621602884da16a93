"""The rows a call needs, each once, and the way back from their states to one tensor.

Everything that a call asks of an encoder goes through it together: the windows of every prompt, positive and negative,
the branches of blended ones, what the weighting mode wants beside them, and the empty window that makes all prompts one
length. Only the mixtures are kept per prompt; equal rows are encoded once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch.nn import functional as F

from clipcond.conditioning.reading import Reading
from clipcond.tokens import Chunk, Tokenizer
from clipcond.weighting import Mixture, Mode, Row, mix


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
    inside: range

    @property
    def length(self) -> int:
        """Positions."""
        return len(self.mixture.rows[0].ids)

    @property
    def content(self) -> torch.Tensor:
        """[tokens]: which positions are no padding."""
        positions = torch.arange(self.length)
        return (positions >= self.inside.start) & (positions < self.inside.stop)


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
    """What to encode, and for what.

    Attributes:
        rows: distinct rows.
        prompts: in the order of the readings.
        length: positions that each prompt's result is to have.
        empty: where the empty prompt's row is, to fill up with or to move away from; None if no prompt needs it.
    """

    rows: tuple[Row, ...]
    prompts: tuple[Planned, ...]
    length: int
    empty: int | None


def make_plan(readings: Sequence[Reading], mode: Mode, tokenizer: Tokenizer, length: int) -> Plan:
    """Collect the rows of all prompts.

    Args:
        readings: the prompts.
        mode: what weights do.
        tokenizer: what read them.
        length: of every result; shorter ones are filled up with what the empty prompt gives.
    """
    frame, mask = tokenizer.frame, tokenizer.mask
    places: dict[Row, int] = {}

    def branch(weight: float, chunks: Sequence[Chunk]) -> Branch:
        empty = frame.emptied(max(len(chunk.ids) for chunk in chunks))
        windows = []
        for chunk, mixture in zip(chunks, mode.mixtures(chunks, empty, mask), strict=True):
            rows = tuple(
                places.setdefault(row._replace(before=chunk.before), len(places))
                for row in mixture.rows
            )
            windows.append(Window(mixture, rows, frame.inside(chunk)))
        return Branch(weight, tuple(windows))

    prompts = tuple(
        Planned(
            tuple(branch(weight, chunks) for weight, chunks in reading.branches), reading.joined
        )
        for reading in readings
    )
    empty = None
    if any(_needs_empty(planned, length) for planned in prompts):
        empty = places.setdefault(Row(frame.empty.ids), len(places))
    return Plan(tuple(places), prompts, length, empty)


def _needs_empty(planned: Planned, length: int) -> bool:
    lengths = [branch.length for branch in planned.branches]
    if planned.joined == "concat":
        return sum(lengths) < length or any(branch.weight != 1 for branch in planned.branches)
    return min(lengths) < length


def assemble(
    plan: Plan, states: Float[torch.Tensor, "rows window dim"]
) -> Float[torch.Tensor, "prompts tokens dim"]:
    """Mix each window's rows, join the windows and branches of each prompt, and fill all up to one length."""
    return torch.stack([_joined(planned, plan, states) for planned in plan.prompts])


def content(plan: Plan) -> Bool[torch.Tensor, "prompts tokens"]:
    """Which positions of `assemble`'s result hold words or what frames them, and which only fill up."""
    return torch.stack([_content(planned, plan.length) for planned in plan.prompts])


def _content(planned: Planned, length: int) -> torch.Tensor:
    branches = [
        torch.cat([window.content for window in branch.windows]) for branch in planned.branches
    ]
    if planned.joined == "concat":
        return F.pad(torch.cat(branches), (0, length - planned.length))
    filled = [F.pad(branch, (0, length - len(branch))) for branch in branches]
    return torch.stack(filled).any(0)


def _joined(planned: Planned, plan: Plan, states: torch.Tensor) -> torch.Tensor:
    parts = [_branch_states(branch, states) for branch in planned.branches]
    weights = [branch.weight for branch in planned.branches]
    if planned.joined == "concat":
        parts = [
            _away(part, weight, plan, states) for part, weight in zip(parts, weights, strict=True)
        ]
        return _fill(torch.cat(parts), plan.length, plan, states)
    parts = [_fill(part, plan.length, plan, states) for part in parts]
    return parts[0] if len(parts) == 1 else _weighted_sum(parts, weights)


def _branch_states(branch: Branch, states: torch.Tensor) -> torch.Tensor:
    windows = [
        mix(states[list(w.places), : w.length], w.mixture).to(states.dtype) for w in branch.windows
    ]
    return windows[0] if len(windows) == 1 else torch.cat(windows)


def _weighted_sum(parts: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    wide = torch.promote_types(parts[0].dtype, torch.float32)
    total = sum(weight * part.to(wide) for weight, part in zip(weights, parts, strict=True))
    return total.to(parts[0].dtype)


def _empty_states(length: int, plan: Plan, states: torch.Tensor) -> torch.Tensor:
    """The empty prompt's states, window after window, cut at `length`."""
    window = states[plan.empty, : len(plan.rows[plan.empty].ids)]
    return window.repeat(-(-length // len(window)), 1)[:length]


def _fill(part: torch.Tensor, length: int, plan: Plan, states: torch.Tensor) -> torch.Tensor:
    if len(part) == length:
        return part
    return torch.cat([part, _empty_states(length - len(part), plan, states)])


def _away(part: torch.Tensor, weight: float, plan: Plan, states: torch.Tensor) -> torch.Tensor:
    """A whole branch moved away from the empty prompt, e + w (E - e), as compel's .and() has it."""
    if weight == 1:
        return part
    return _weighted_sum([part, _empty_states(len(part), plan, states)], [weight, 1 - weight])


def _pooled_first(branch: Branch, ends: torch.Tensor) -> torch.Tensor:
    return ends[branch.windows[0].places[0]]


def _pooled_last(branch: Branch, ends: torch.Tensor) -> torch.Tensor:
    return ends[branch.windows[-1].places[0]]


def _pooled_mean(branch: Branch, ends: torch.Tensor) -> torch.Tensor:
    """Over the prompt's own windows."""
    rows = ends[[window.places[0] for window in branch.windows]]
    return rows.float().mean(0).to(ends.dtype)


def _pooled_weighted(branch: Branch, ends: torch.Tensor) -> torch.Tensor:
    """The first window's, mixed as its end of text is: what masks or attends less acts, what scales words does not."""
    window = branch.windows[0]
    end = window.inside.stop - 1  # where EOS is
    shares = [coefficients[end] for coefficients in window.mixture.coefficients]
    used = [(ends[place], s) for place, s in zip(window.places, shares, strict=True) if s]
    if len(used) == 1 and used[0][1] == 1:
        return used[0][0]
    return _weighted_sum([part for part, _ in used], [share for _, share in used])


POOLED = {
    "first": _pooled_first,
    "last": _pooled_last,
    "mean": _pooled_mean,
    "weighted": _pooled_weighted,
}


def pool(
    plan: Plan, ends: Float[torch.Tensor, "rows dim"], policy: str
) -> Float[torch.Tensor, "prompts dim"]:
    """One state a prompt from those at its windows' ends of text, by the policy.

    Of blended branches it is the blend, of concatenated ones the first's. What follows is linear, a projection, so it
    does not matter that it comes after.
    """
    results = []
    for planned in plan.prompts:
        parts = [POOLED[policy](branch, ends) for branch in planned.branches]
        weights = [branch.weight for branch in planned.branches]
        blended = planned.joined == "blend"
        results.append(_weighted_sum(parts, weights) if blended else parts[0])
    return torch.stack(results)
