"""What several texts give for one picture, put together place by place."""

from collections.abc import Sequence
from functools import cache

import torch

from clipcond.errors import ClipcondError


@cache
def grid_of(tokens: int, height: int, width: int) -> tuple[int, int]:
    """The rows and columns of an attention layer, from how many positions it has.

    A denoiser that shrinks by d has ceil(height / d) rows and ceil(width / d) columns, one d for both. There is such a d
    for at most one pair of that product: -width < height columns - width rows < height says that there is, and one row
    more is at least one column less, which is further off by at least the length of that interval.

    Args:
        tokens: the number of positions, row by row.
        height: of the picture or its latent, in pixels or the like.
        width: in the same.

    Raises:
        ClipcondError: it is no such grid.
    """
    for rows in range(1, tokens + 1):
        columns, rest = divmod(tokens, rows)
        if not rest and -width < height * columns - width * rows < height:
            return rows, columns
    raise ClipcondError(
        f"{tokens} positions are no grid over a height of {height} and a width of {width}; give those of the picture "
        "that is drawn, and none of a layer that does not look at places"
    )


def blend(parts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """What several have to say of a picture, each in its places.

    Args:
        parts: how much of each place is whose, 1 together, in any shape that goes with the others; and what they say there.

    Returns:
        Computed in float32 at least, in the dtype that came; of one part alone, that bit for bit.
    """
    if len(parts) == 1:
        return parts[0][1]
    first = parts[0][1]
    wide = torch.promote_types(first.dtype, torch.float32)
    total = sum(
        (share.to(first.device, wide) * said.to(wide) for share, said in parts),
        torch.zeros(1, dtype=wide, device=first.device),
    )
    return total.to(first.dtype)
