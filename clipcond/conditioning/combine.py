"""From a plan's encoded rows to states again: windows mixed, joined, filled up to one length; and pooled vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch.nn import functional as F

from clipcond.conditioning.plan import Branch, Plan, Planned
from clipcond.encoders import ClipTextEncoder, EncoderOutput, TextEncoder
from clipcond.errors import ClipcondError
from clipcond.families.inputs import Encoded, Sides
from clipcond.weighting import mix


@dataclass(frozen=True, slots=True)
class Pooling:
    """A policy for pooled vectors.

    Attributes:
        of: (a branch, the states at its rows' ends of text) -> one of them, or a mixture.
        windows: which of a prompt's windows it looks at.
    """

    of: Callable[[Branch, torch.Tensor], torch.Tensor]
    windows: slice


def combine(
    plan: Plan, output: EncoderOutput, encoder: TextEncoder, pooling: Pooling
) -> Sides[Encoded]:
    """What one encoder has to say of each side's prompts.

    Args:
        plan: what the rows are for.
        output: of the plan's rows.
        encoder: whose they are.
        pooling: which windows pooled vectors speak of.
    """
    return {
        side: Encoded(
            states=torch.stack([_joined(planned, plan, output.states) for planned in prompts]),
            pooled=_pooled(prompts, output.ends, encoder, pooling),
            content=torch.stack([_content(p, plan.length) for p in prompts]).to(
                output.states.device
            ),
            layers=getattr(encoder, "layers", 1),
        )
        for side, prompts in plan.sides.items()
    }


def _content(planned: Planned, length: int) -> torch.Tensor:
    """[tokens]: which positions hold words or what frames them, and which only fill up."""
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
    scaled = (weight * part.to(wide) for weight, part in zip(weights, parts, strict=True))
    return sum(scaled, start=parts[0].new_zeros((), dtype=wide)).to(parts[0].dtype)


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
    "first": Pooling(_pooled_first, slice(0, 1)),
    "last": Pooling(_pooled_last, slice(-1, None)),
    "mean": Pooling(_pooled_mean, slice(None)),
    "weighted": Pooling(_pooled_weighted, slice(0, 1)),
}


def pooling_named(name: str) -> Pooling:
    """A policy by its name.

    Raises:
        ClipcondError: there is none of that name.
    """
    if name not in POOLED:
        raise ClipcondError(f"no pooled policy {name!r}; there are {', '.join(POOLED)}")
    return POOLED[name]


def _pooled(
    prompts: Sequence[Planned],
    ends: Float[torch.Tensor, "rows dim"] | None,
    encoder: TextEncoder,
    pooling: Pooling,
) -> Float[torch.Tensor, "prompts pooled_dim"] | None:
    """One vector a prompt from the states at its windows' ends of text: of blended branches their blend, of concatenated
    ones the first's.

    Sides are projected one by one, as the pipelines do: a product's last bits depend on how many rows it has.
    """
    if ends is None or not isinstance(encoder, ClipTextEncoder):
        return None
    states = []
    for planned in prompts:
        parts = [pooling.of(branch, ends) for branch in planned.branches]
        weights = [branch.weight for branch in planned.branches]
        blended = planned.joined == "blend"
        states.append(_weighted_sum(parts, weights) if blended else parts[0])
    return encoder.project(torch.stack(states))
