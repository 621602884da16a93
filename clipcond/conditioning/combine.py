"""From a plan's encoded rows to states again: windows mixed, joined, filled up to one length; and pooled vectors."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch.nn import functional as F

from clipcond.conditioning.plan import Branch, Plan, Planned
from clipcond.conditioning.pooling import End, Pooling, weighted_sum
from clipcond.conditioning.repeats import once_each
from clipcond.encoders import ClipTextEncoder, EncoderOutput, TextEncoder
from clipcond.families.inputs import Encoded, Sides
from clipcond.weighting import mix


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

    def said(prompts: Sequence[Planned], length: int) -> Encoded:
        states = once_each(lambda planned: _joined(planned, plan, length, output.states), prompts)
        content = once_each(lambda planned: _content(planned, length), prompts)
        return Encoded(
            states=torch.stack(states),
            pooled=_pooled(prompts, output.ends, encoder, pooling),
            content=torch.stack(content).to(output.states.device),
            layers=getattr(encoder, "layers", 1),
        )

    return {side: said(prompts, plan.lengths[side]) for side, prompts in plan.sides.items()}


def _content(planned: Planned, length: int) -> torch.Tensor:
    """[tokens]: which positions hold words or what frames them, and which only fill up."""
    branches = [
        torch.cat([window.content for window in branch.windows]) for branch in planned.branches
    ]
    if planned.joined == "concat":
        return F.pad(torch.cat(branches), (0, length - planned.length))
    filled = [F.pad(branch, (0, length - len(branch))) for branch in branches]
    return torch.stack(filled).any(0)


def _joined(planned: Planned, plan: Plan, length: int, states: torch.Tensor) -> torch.Tensor:
    parts = [_branch_states(branch, states) for branch in planned.branches]
    weights = [branch.weight for branch in planned.branches]
    if planned.joined == "concat":
        parts = [
            _away(part, weight, plan, states) for part, weight in zip(parts, weights, strict=True)
        ]
        return _fill(torch.cat(parts), length, plan, states)
    parts = [_fill(part, length, plan, states) for part in parts]
    return parts[0] if len(parts) == 1 else weighted_sum(parts, weights)


def _branch_states(branch: Branch, states: torch.Tensor) -> torch.Tensor:
    windows = [
        mix(states[list(w.places), : w.length], w.mixture).to(states.dtype) for w in branch.windows
    ]
    return windows[0] if len(windows) == 1 else torch.cat(windows)


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
    return weighted_sum([part, _empty_states(len(part), plan, states)], [weight, 1 - weight])


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

    def state(planned: Planned) -> torch.Tensor:
        parts = [
            pooling.pool([End(ends[list(w.places)], w.end_shares) for w in branch.windows])
            for branch in planned.branches
        ]
        weights = [branch.weight for branch in planned.branches]
        return weighted_sum(parts, weights) if planned.joined == "blend" else parts[0]

    return encoder.project(torch.stack(once_each(state, prompts)))
