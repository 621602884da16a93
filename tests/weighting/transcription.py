"""The formulas of ComfyUI_ADV_CLIP_emb once more, in plain numpy, independent of the library's way to compute them.

That program finds what to mask with `np.where(np.unique(weights, return_inverse=True)[1] == i)[0]`. `weights` is a
list of chunks, and numpy 2 gives the inverse its shape, so there [0] finds numbers of chunks: with one chunk, position
0, BOS, is masked instead of the words. `numpy_2=True` computes that, as the golden cases do.
"""

import numpy as np

MASK = 266


def encode(ids: list[int]) -> np.ndarray:
    """The toy encoder of the golden cases: [tokens, 3]."""
    table = np.sin((np.asarray(ids, float)[:, None] + 1) * np.array([0.7, 1.3, 2.1]))
    position = np.arange(1, len(ids) + 1)[:, None]
    return table + 0.5 * np.cumsum(table, 0) / position + 0.1 * np.sin(position)


def weighted(mode, normalization, ids, weights, word_ids, empty, *, numpy_2=False) -> np.ndarray:
    """States [tokens, 3] of one window."""
    w = _normalized(np.asarray(weights, float), np.asarray(word_ids), normalization)
    words = np.asarray(word_ids)
    z, e = encode(ids), encode(empty)
    match mode:
        case "none":
            return z
        case "comfy":
            return e + w[:, None] * (z - e)
        case "a1111_no_norm":
            return w[:, None] * z
        case "a1111":
            y = w[:, None] * z
            return y * z.mean() / y.mean()
        case "down_weight":
            top = w.max()
            scaled = np.where(words == 0, min(top, 1.0), w / top * min(top, 1.0))
            return _down(ids, scaled, encode, numpy_2=numpy_2)
        case "advanced_compel":
            up = np.maximum(w, 1.0)[:, None]
            return _down(ids, w, lambda row: e + up * (encode(row) - e), numpy_2=numpy_2)
        case "comfy++":
            out = _down(ids, w, encode, numpy_2=numpy_2)
            up = np.maximum(w, 1.0)
            for word in np.unique(words):
                here = words == word
                if up[here][0] != 1:
                    without = [MASK if h else i for i, h in zip(ids, here, strict=True)]
                    out = out + (here * (up - 1))[:, None] * (z - encode(without))
            return out
    raise AssertionError(mode)


def _down(ids, w, encode_row, *, numpy_2) -> np.ndarray:
    levels = sorted(set(w[w < 1]))
    rows, current = [encode_row(ids)], list(ids)
    for level in levels:
        found = [0] if numpy_2 else np.flatnonzero(w == level)
        current = [MASK if i in found else token for i, token in enumerate(current)]
        rows.append(encode_row(current))
    shares = np.diff([0.0, *levels, 1.0])
    return sum(share * row for share, row in zip(shares, rows, strict=True))


def _normalized(w, words, normalization) -> np.ndarray:
    if "length" in normalization:
        sizes = np.array([np.sum(words == word) for word in words])
        w = np.where(words == 0, w, 1 + np.sign(w - 1) * np.sqrt((w - 1) ** 2 / sizes))
    if "mean" in normalization:
        w = np.where(words == 0, w, w + 1 - w[words != 0].mean())
    return w
