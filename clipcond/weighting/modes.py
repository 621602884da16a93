"""The weighting modes: how a token's weight acts on an encoder's states.

A mode is one pure function: the windows of a prompt -> one `Mixture` each, which names the rows to encode and says how
much of each row's state goes into each position. So every row of a call can go through the encoder at once, whatever
the modes ask for, and all modes share one way to combine (`mix`):

    out[t] = sum over rows r of coefficients[r][t] * states[r, t]

Write z for the window's own states, e for the empty prompt's, w for the weights. The modes and where they come from:

    none            z
    comfy           e + w (z - e)                            ComfyUI, sd1_clip.py
    a1111           w z, times mean(z) / mean(w z)           AUTOMATIC1111, sd_emphasis.py "Original"; mean of the window
    a1111_no_norm   w z                                      the same, "No norm"
    compel          c0 (e + w (z - e)) + sum over down-weighted fragments f of c_f (e + w (z_f - e)), z_f without f;
                    c_f = tan((1 - w_f) pi / 2), all divided by 1 + sum of c_f          compel 2.5.1
    down_weight     w / max(w) for all words, then w_1 E_0 + sum of (w_i+1 - w_i) E_i over the distinct weights below 1,
                    E_i with every token of weight <= w_i masked                        ComfyUI_ADV_CLIP_emb
    comfy++         that for weights below 1; above, + (w - 1)(z - z without the word)  the same
    advanced_compel comfy above 1, that below                                           the same, its "compel"
    attention_bias  z where every position attends to a token w times as much (log w on its key), in every layer
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from clipcond.errors import ClipcondError
from clipcond.tokens import Chunk, Ids
from clipcond.weighting.mixture import Mixture, Row

Mixtures = Callable[[Sequence[Chunk], Ids, int], tuple[Mixture, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A weighting mode and the laws that it keeps (all are unchanged at weight 1 and continuous there).

    Attributes:
        mixtures: (a prompt's windows, the empty window's ids, the id that masks) -> a mixture for each window.
        always_finite: finite for every finite weight; the others fall back and say so.
        independent: the weight of a fragment moves no position of another fragment, but through attention.
        least: the smallest weight that means anything.
    """

    mixtures: Mixtures
    always_finite: bool = True
    independent: bool = True
    least: float = -math.inf


def _alone(chunk: Chunk) -> Mixture:
    return Mixture((Row(chunk.ids),), ((1.0,) * len(chunk.ids),))


def _none(windows: Sequence[Chunk], _empty: Ids, _mask: int) -> tuple[Mixture, ...]:
    return tuple(_alone(chunk) for chunk in windows)


def _lerp(chunk: Chunk, empty: Ids) -> Mixture:
    """e + w (z - e)."""
    if all(w == 1 for w in chunk.weights):
        return _alone(chunk)
    rest = tuple(1 - w for w in chunk.weights)
    return Mixture((Row(chunk.ids), Row(empty)), (chunk.weights, rest))


def _comfy(windows: Sequence[Chunk], empty: Ids, _mask: int) -> tuple[Mixture, ...]:
    return tuple(_lerp(chunk, empty) for chunk in windows)


def _a1111_no_norm(windows: Sequence[Chunk], _empty: Ids, _mask: int) -> tuple[Mixture, ...]:
    return tuple(Mixture((Row(chunk.ids),), (chunk.weights,)) for chunk in windows)


def _a1111(windows: Sequence[Chunk], empty: Ids, mask: int) -> tuple[Mixture, ...]:
    return tuple(
        replace(mixture, restore_mean=True) for mixture in _a1111_no_norm(windows, empty, mask)
    )


def _compel(windows: Sequence[Chunk], empty: Ids, _mask: int) -> tuple[Mixture, ...]:
    """A window that a fragment does not touch is the same without it, so only touched windows are encoded again."""
    down = {
        fragment: math.tan((1 - max(w, 1e-5)) * math.pi / 2)
        for chunk in windows
        for fragment, w in zip(chunk.fragments, chunk.weights, strict=True)
        if w < 1
    }
    total = 1 + sum(down.values())

    def mixture(chunk: Chunk) -> Mixture:
        plain = _lerp(chunk, empty)
        touched = [fragment for fragment in down if fragment in chunk.fragments]
        if not touched:
            return plain
        masked = tuple(
            Row(chunk.ids, tuple(float(fragment != own) for own in chunk.fragments))
            for fragment in touched
        )
        shares = [down[fragment] / total for fragment in touched]
        parts = [1 - sum(shares), *shares]
        states = tuple(tuple(part * w for w in chunk.weights) for part in parts)
        return Mixture((plain.rows[0], *masked, plain.rows[1]), (*states, plain.coefficients[1]))

    return tuple(mixture(chunk) for chunk in windows)


def _levels(chunk: Chunk, mask: int) -> tuple[tuple[Ids, ...], tuple[float, ...]]:
    """Rows with more and more masked, from the smallest weight up, and the share of each; the shares add up to 1."""
    levels = sorted({w for w in chunk.weights if w < 1})
    rows = [
        tuple(mask if w <= level else i for i, w in zip(chunk.ids, chunk.weights, strict=True))
        for level in levels
    ]
    edges = [0.0, *levels, 1.0]
    shares = tuple(above - below for below, above in pairwise(edges))
    return (chunk.ids, *rows), shares


def _down_weight(windows: Sequence[Chunk], _empty: Ids, mask: int) -> tuple[Mixture, ...]:
    top = max(max(chunk.weights) for chunk in windows)

    def mixture(chunk: Chunk) -> Mixture:
        scaled = replace(chunk, weights=_of_words(chunk, lambda w: w / top))
        rows, shares = _levels(scaled, mask)
        return Mixture(
            tuple(Row(ids) for ids in rows), tuple((share,) * len(chunk.ids) for share in shares)
        )

    return tuple(mixture(chunk) for chunk in windows)


def _of_words(chunk: Chunk, change: Callable[[float], float]) -> tuple[float, ...]:
    """The weights of the content changed, those of BOS, EOS and padding kept."""
    return tuple(
        change(w) if fragment else w
        for w, fragment in zip(chunk.weights, chunk.fragments, strict=True)
    )


def _advanced_compel(windows: Sequence[Chunk], empty: Ids, mask: int) -> tuple[Mixture, ...]:
    """Each row of the down-weighting is first moved away from the empty prompt, as comfy does, by weights above 1."""

    def mixture(chunk: Chunk) -> Mixture:
        rows, shares = _levels(chunk, mask)
        up = [max(w, 1.0) for w in chunk.weights]
        states = tuple(tuple(share * w for w in up) for share in shares)
        own = tuple(Row(ids) for ids in rows)
        if max(up) == 1:
            return Mixture(own, states)
        return Mixture((*own, Row(empty)), (*states, tuple(1 - w for w in up)))

    return tuple(mixture(chunk) for chunk in windows)


def _comfy_plus(windows: Sequence[Chunk], _empty: Ids, mask: int) -> tuple[Mixture, ...]:
    def mixture(chunk: Chunk) -> Mixture:
        rows, shares = _levels(chunk, mask)
        up = [max(w, 1.0) - 1 for w in chunk.weights]
        words = list(
            dict.fromkeys(f for f, w in zip(chunk.fragments, up, strict=True) if f and w > 0)
        )
        without = tuple(
            tuple(mask if f == word else i for i, f in zip(chunk.ids, chunk.fragments, strict=True))
            for word in words
        )
        taken = tuple(
            tuple(-w if f == word else 0.0 for w, f in zip(up, chunk.fragments, strict=True))
            for word in words
        )
        base = tuple(
            shares[0] + (w if f else 0.0) for w, f in zip(up, chunk.fragments, strict=True)
        )
        masked = tuple((share,) * len(chunk.ids) for share in shares[1:])
        return Mixture(tuple(Row(ids) for ids in (*rows, *without)), (base, *masked, *taken))

    return tuple(mixture(chunk) for chunk in windows)


def _attention_bias(windows: Sequence[Chunk], _empty: Ids, _mask: int) -> tuple[Mixture, ...]:
    def mixture(chunk: Chunk) -> Mixture:
        if min(chunk.weights) < 0:
            raise ClipcondError(
                f"attention_bias: the weight {min(chunk.weights):.4g} is below 0, and nothing can be attended to "
                "less than not at all; 0 masks the fragment"
            )
        alone = _alone(chunk)
        if all(w == 1 for w in chunk.weights):
            return alone
        return replace(alone, rows=(Row(chunk.ids, chunk.weights),))

    return tuple(mixture(chunk) for chunk in windows)


MODES: dict[str, Mode] = {
    "a1111": Mode(mixtures=_a1111, always_finite=False, independent=False),
    "a1111_no_norm": Mode(mixtures=_a1111_no_norm),
    "comfy": Mode(mixtures=_comfy),
    "compel": Mode(mixtures=_compel, independent=False),
    "comfy++": Mode(mixtures=_comfy_plus, independent=False),
    "down_weight": Mode(mixtures=_down_weight, independent=False),
    "advanced_compel": Mode(mixtures=_advanced_compel, independent=False),
    "attention_bias": Mode(mixtures=_attention_bias, least=0.0),
    "none": Mode(mixtures=_none),
}
"""Every weighting mode by its name, with the laws that it keeps."""


def mode_named(name: str) -> Mode:
    """A mode by its name.

    Raises:
        ClipcondError: there is none of that name.
    """
    if name not in MODES:
        raise ClipcondError(f"no weighting {name!r}; there are {', '.join(MODES)}")
    return MODES[name]
