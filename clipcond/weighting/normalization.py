"""Weights made comparable between prompts, as ComfyUI_ADV_CLIP_emb has it."""

from collections import Counter
from collections.abc import Sequence

from clipcond.errors import ClipcondError

NORMALIZATIONS = ("none", "mean", "length", "length+mean")
"""The names that `normalize` takes."""


def check_normalization(name: str) -> None:
    """Refuse a normalisation that does not exist.

    Raises:
        ClipcondError: naming those that do.
    """
    if name not in NORMALIZATIONS:
        raise ClipcondError(f"no normalization {name!r}; there are {', '.join(NORMALIZATIONS)}")


def normalize(weights: Sequence[float], word_ids: Sequence[int], normalization: str) -> list[float]:
    """A prompt's weights, normalised.

    "length": w <- 1 + (w - 1) / sqrt(tokens of the word); "mean": w <- w + 1 - mean of the words' weights;
    "length+mean": both, in that order. Tokens outside words keep theirs.

    Raises:
        ClipcondError: an unknown normalisation.
    """
    check_normalization(normalization)
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
