"""A plan's rows through one text encoder: as few forwards as memory allows, and none for what the cache has."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from clipcond.conditioning.cache import EmbeddingCache
from clipcond.conditioning.report import EncoderStats
from clipcond.encoders import EncoderOutput, LanguageEncoder, batches, config_of, joined
from clipcond.families.text_path import TextPath
from clipcond.weighting import Row


def encode(
    path: TextPath, rows: Sequence[Row], cache: EmbeddingCache | None, memory_limit: int
) -> tuple[EncoderOutput, EncoderStats]:
    """The encoder's output for every row, and what that took.

    Args:
        path: the encoder.
        rows: distinct.
        cache: of rows encoded before.
        memory_limit: bytes of activations, about, that one forward may take.
    """
    run = partial(_forwards, path, memory_limit)
    if cache is not None:
        return cache.encode(path.encoder, rows, run)
    outputs = run(rows)
    return joined(outputs), EncoderStats(calls=len(outputs), rows=len(rows))


def _forwards(path: TextPath, memory_limit: int, rows: Sequence[Row]) -> list[EncoderOutput]:
    """A language model's rows share a forward with others of their length only: padding changes last bits."""
    encoder, frame, alike = path.encoder, path.tokenizer.frame, [rows]
    if isinstance(encoder, LanguageEncoder):
        alike = [
            list(group) for _, group in groupby(rows, lambda row: (len(row.ids), len(row.before)))
        ]
    return [
        encoder.encode(part, eos=frame.eos, pad=frame.pad)
        for group in alike
        for part in batches(group, config_of(encoder.module), memory_limit)
    ]
