"""The rows a call needs, each once, and the way back from their states to one tensor.

Everything that a call asks for goes through the encoder together: the windows of every prompt, positive and negative,
what the weighting mode wants beside them, and the empty window that makes all prompts one length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float

from clipcond.tokens import Chunk
from clipcond.weighting import Row, Weighting


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one prompt.

    Attributes:
        weights: one per position.
        rows: where its variants are in the plan's rows.
    """

    weights: tuple[float, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to encode, and for what.

    Attributes:
        rows: distinct rows of ids.
        prompts: the windows of each prompt, as many for each.
    """

    rows: tuple[Row, ...]
    prompts: tuple[tuple[Window, ...], ...]


def make_plan(prompts: Sequence[Sequence[Chunk]], weighting: Weighting, empty: Chunk) -> Plan:
    """Collect the rows of all prompts; shorter ones are filled up with empty windows."""
    longest = max(len(chunks) for chunks in prompts)
    places: dict[Row, int] = {}

    def window(chunk: Chunk) -> Window:
        variants = weighting.variants(chunk.ids, chunk.weights, empty.ids)
        return Window(chunk.weights, tuple(places.setdefault(row, len(places)) for row in variants))

    windows = tuple(
        tuple(window(chunk) for chunk in (*chunks, *[empty] * (longest - len(chunks))))
        for chunks in prompts
    )
    return Plan(tuple(places), windows)


def assemble(
    plan: Plan, weighting: Weighting, states: Float[torch.Tensor, "rows window dim"]
) -> Float[torch.Tensor, "prompts tokens dim"]:
    """Combine each window's variants and join the windows of each prompt."""
    return torch.stack(
        [
            torch.cat([weighting.combine(states[list(w.rows)], w.weights) for w in windows])
            for windows in plan.prompts
        ]
    )
