"""How well features find what belongs to them: pure functions, a block of similarities at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64

_BLOCK = 1024  # queries


def wrong_before(
    queries: Float[torch.Tensor, "n dim"],
    answers: Float[torch.Tensor, "m dim"],
    right: Int64[torch.Tensor, "pairs 2"],
    *,
    block: int = _BLOCK,
) -> Int64[torch.Tensor, " n"]:
    """How many wrong answers are at least as near to a query as the nearest right one.

    A tie counts against the query, so that features that are all the same find nothing. No more than block x m similarities
    are held.

    Args:
        queries: unit features.
        answers: unit features.
        right: (query, answer) numbers that belong together, in any order; every query has one or more.
        block: queries at once.
    """
    right = torch.unique(right, dim=0)  # in the order of the queries
    bounds = torch.arange(0, len(queries) + block, block, device=right.device)
    edges = torch.searchsorted(right[:, 0].contiguous(), bounds).tolist()
    # one tensor for all: small ones that stay would lie between the blocks, and memory would grow with every block
    found = torch.empty(len(queries), dtype=torch.int64, device=queries.device)
    for start, first, last in zip(bounds.tolist(), edges, edges[1:], strict=False):
        similarities = queries[start : start + block] @ answers.T
        rows = right[first:last, 0] - start
        own = similarities[rows, right[first:last, 1]]
        best = own.new_full((len(similarities),), -torch.inf).scatter_reduce(0, rows, own, "amax")
        # counted by what is further, so that of NaN everything is near
        near = len(answers) - (similarities < best[:, None]).count_nonzero(dim=1)
        mine = (~(own < best[rows])).long()
        found[start : start + block] = near.index_add(0, rows, mine, alpha=-1)
    return found


def shares(before: Int64[torch.Tensor, " n"], ks: Sequence[int]) -> dict[int, float]:
    """Of each k, the share of queries whose first right answer is among the nearest k."""
    return {k: (before < k).double().mean().item() for k in ks}
