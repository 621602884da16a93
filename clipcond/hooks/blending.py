"""Where the positions of an attention layer are in the picture."""

from functools import cache

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
