"""The weighting modes: how a token's weight acts on an encoder's states.

A mode is two pure functions. `variants` says which rows of ids a window needs, `combine` makes one state per position
of what the encoder answered. So every row of a call can go through the encoder at once, whatever the modes ask for.

Laws (tests): a window whose weights are all 1 is unchanged, bit for bit; so is every position of weight 1 in a mode
whose fragments are independent.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float

from clipcond.errors import ClipcondError

Row = tuple[int, ...]
Weights = Sequence[float]


@dataclass(frozen=True, slots=True)
class Weighting:
    """A weighting mode.

    Attributes:
        variants: (the window's ids, its weights, the empty window's ids) -> the rows to encode, the window first.
        combine: (the states of those rows, the weights) -> the states that condition.
    """

    variants: Callable[[Row, Weights, Row], tuple[Row, ...]]
    combine: Callable[
        [Float[torch.Tensor, "variants tokens dim"], Weights], Float[torch.Tensor, "tokens dim"]
    ]


def _rows_comfy(ids: Row, weights: Weights, empty: Row) -> tuple[Row, ...]:
    return (ids,) if all(w == 1 for w in weights) else (ids, empty)


def _combine_comfy(
    states: Float[torch.Tensor, "variants tokens dim"], weights: Weights
) -> Float[torch.Tensor, "tokens dim"]:
    """out_t = e_t + w_t (z_t - e_t), e the empty prompt's state (ComfyUI, sd1_clip.py encode_token_weights).

    In fp32 at least; positions of weight 1 are copied, not computed, and so stay what they were.
    """
    touched = [i for i, w in enumerate(weights) if w != 1]
    if not touched:
        return states[0]
    wide = torch.promote_types(states.dtype, torch.float32)
    z, e = states[0, touched].to(wide), states[1, touched].to(wide)
    w = torch.tensor([weights[i] for i in touched], dtype=wide, device=states.device)
    out = states[0].clone()
    out[touched] = (e + w[:, None] * (z - e)).to(states.dtype)
    return out


def _rows_none(ids: Row, _weights: Weights, _empty: Row) -> tuple[Row, ...]:
    return (ids,)


def _combine_none(
    states: Float[torch.Tensor, "variants tokens dim"], _weights: Weights
) -> Float[torch.Tensor, "tokens dim"]:
    return states[0]


WEIGHTINGS: dict[str, Weighting] = {
    "comfy": Weighting(_rows_comfy, _combine_comfy),
    "none": Weighting(_rows_none, _combine_none),
}


def mode_named(name: str) -> Weighting:
    """A mode by its name.

    Raises:
        ClipcondError: there is none of that name.
    """
    if name not in WEIGHTINGS:
        raise ClipcondError(f"no weighting {name!r}; there are {', '.join(WEIGHTINGS)}")
    return WEIGHTINGS[name]


def weigh(  # noqa: PLR0917 the published signature
    mode: str,
    encode: Callable[[list[Row]], Float[torch.Tensor, "rows tokens dim"]],
    tokens: Sequence[int],
    weights: Weights,
    word_ids: Sequence[int],
    *,
    empty: Sequence[int],
    mask_token: int | None = None,  # noqa: ARG001 for modes that mask words; neither of these does
    normalization: str = "none",
) -> Float[torch.Tensor, "tokens dim"]:
    """One window through one mode, with any encoder: the reference that the batched path must equal.

    Args:
        mode: a key of `WEIGHTINGS`.
        encode: rows of ids -> their states.
        tokens: the window's ids.
        weights: one per id.
        word_ids: which word each id belongs to, 0 for none (BOS, EOS, padding); read by the normalisations only.
        empty: the empty prompt's ids, as many.
        mask_token: the id that stands in for a masked word, in modes that mask; "comfy" and "none" do not.
        normalization: of the weights first: "none", "mean", "length" or "length+mean".

    Raises:
        ClipcondError: an unknown mode or normalisation.
        ValueError: lengths differ.
    """
    if not len(tokens) == len(weights) == len(word_ids) == len(empty):
        raise ValueError("tokens, weights, word_ids and empty must be of one length")
    chosen = mode_named(mode)
    weights = normalize(weights, word_ids, normalization)
    rows = chosen.variants(tuple(tokens), weights, tuple(empty))
    return chosen.combine(encode(list(rows)), weights)


def normalize(weights: Weights, word_ids: Sequence[int], normalization: str) -> list[float]:
    """Weights made comparable between prompts, as ComfyUI_ADV_CLIP_emb has it.

    "length": w <- 1 + (w - 1) / sqrt(tokens of the word); "mean": w <- w + 1 - mean of the words' weights;
    "length+mean": both, in that order. Tokens outside words keep theirs.
    """
    known = ("none", "mean", "length", "length+mean")
    if normalization not in known:
        raise ClipcondError(f"no normalization {normalization!r}; there are {', '.join(known)}")
    out = [float(w) for w in weights]
    words = [i for i, word in enumerate(word_ids) if word != 0]
    if "length" in normalization:
        sizes = Counter(word_ids)
        for i in words:
            out[i] = 1 + (out[i] - 1) / sizes[word_ids[i]] ** 0.5
    if "mean" in normalization and words:
        shift = 1 - sum(out[i] for i in words) / len(words)
        for i in words:
            out[i] += shift
    return out
