"""`weigh`: one window through one mode with any encoder, the reference that the planned path must equal."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float

from clipcond.tokens import Chunk
from clipcond.weighting.mixture import mix
from clipcond.weighting.modes import mode_named
from clipcond.weighting.normalization import normalize


def weigh(  # noqa: PLR0917 the published signature
    mode: str,
    encode: Callable[..., Float[torch.Tensor, "rows tokens dim"]],
    tokens: Sequence[int],
    weights: Sequence[float],
    word_ids: Sequence[int],
    *,
    empty: Sequence[int],
    mask_token: int | None = None,
    normalization: str = "none",
) -> Float[torch.Tensor, "tokens dim"]:
    """One window through one mode, with any encoder.

    Args:
        mode: a key of `MODES`.
        encode: rows of ids -> their states. Modes that act on attention ("compel", "attention_bias") call it with a
            second argument: for each row how much each position is attended to, 1 being as usual.
        tokens: the window's ids.
        weights: one per id.
        word_ids: which word each id belongs to, 0 for none (BOS, EOS, padding). A word is what the modes weigh as one.
        empty: the empty prompt's ids, as many.
        mask_token: the id that stands in for a masked word, in "comfy++", "down_weight" and "advanced_compel".
        normalization: of the weights first: "none", "mean", "length" or "length+mean".

    Raises:
        ClipcondError: an unknown mode or normalisation, or a weight below 0 in "attention_bias".
        ValueError: lengths differ, or a mode that masks words is given no mask_token.
    """
    if not len(tokens) == len(weights) == len(word_ids) == len(empty):
        raise ValueError("tokens, weights, word_ids and empty must be of one length")
    chosen = mode_named(mode)
    weights = normalize(weights, word_ids, normalization)
    chunk = Chunk(tuple(tokens), tuple(weights), tuple(word_ids))
    unused = (
        min(tokens) - 1
    )  # no id of the window: seen again below only if the mode masked with it
    (mixture,) = chosen.mixtures(
        [chunk], tuple(empty), unused if mask_token is None else mask_token
    )
    rows = [list(row.ids) for row in mixture.rows]
    if mask_token is None and any(unused in row for row in rows):
        raise ValueError(
            f"{mode!r} masks words here: pass mask_token, the id that stands in for them"
        )
    if any(row.attention for row in mixture.rows):
        attention = [list(row.attention or [1.0] * len(tokens)) for row in mixture.rows]
        return mix(encode(rows, attention), mixture)
    return mix(encode(rows), mixture)
