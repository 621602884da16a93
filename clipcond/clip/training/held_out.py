"""The part of the data that is measured on and not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Float, Int64

from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.training.rows import BrokenRowError, Source
from clipcond.clip.training.sources import Rows
from clipcond.clip.training.stream import Broken, broken, prepared
from clipcond.errors import ClipcondError


def held_out(
    source: Source, share: int | float, seed: int
) -> tuple[Int64[np.ndarray, " training"], Int64[np.ndarray, " held"]]:
    """Rows to train on and rows to measure on; no picture (`Source.key`) is in both.

    By a hash of the picture's key, so that a picture stays on its side when rows are added or their order changes. A row
    whose picture cannot be told is trained on, where it is counted as broken.

    Args:
        source: the data.
        share: of the pictures to hold out, about; 0 for none. At least one picture is on each side.
        seed: another one holds out other pictures.

    Raises:
        ClipcondError: a share that is none, or one picture alone, which cannot be on both sides.
    """
    if not 0 <= share < 1:
        raise ClipcondError(f"held-out share: got {share}; needs 0 or more, and less than 1")
    everything = np.arange(len(source), dtype=np.int64)
    if share == 0:
        return everything, everything[:0]
    places = np.array([_place(source, row, seed) for row in range(len(source))])
    known = np.unique(places[places < 1])
    if len(known) < 2:
        raise ClipcondError(
            f"held-out share {share}: there {'is 1 picture' if len(known) else 'are no pictures'} to share out, and it takes 2; "
            "add pictures, or hold out 0"
        )
    # the lowest is always held out, the highest never
    limit = min(max(share, np.nextafter(known[0], 1)), known[-1])
    held = places < limit
    return everything[~held], everything[held]


def _place(source: Source, row: int, seed: int) -> float:
    """A number in [0, 1) that all rows of a picture have; 1 where the picture cannot be told."""
    try:
        key = source.key(row)
    except BrokenRowError:
        return 1.0
    digest = blake2b(f"{seed} {key}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


class HeldPictures:
    """Pictures by number, prepared as they are evaluated; picklable, so that workers read them.

    Args:
        source: the data.
        rows: one of each picture.
        preprocessing: under a crop policy that gives one view.
    """

    def __init__(self, source: Source, rows: Rows, preprocessing: Preprocessing) -> None:
        self._source, self._rows, self._preprocessing = source, rows, preprocessing

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int, /) -> Float[torch.Tensor, "3 height width"] | None:
        """Pixels; None of a picture that cannot be read."""
        try:
            return prepared(
                self._source,
                int(self._rows[number]),
                lambda picture: self._preprocessing.views(picture)[0],
            )[0]
        except ClipcondError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRows:
    """Held-out pictures, each once.

    Attributes:
        pictures: prepared, by number.
        captions: of each picture, those of all its rows.
        labels: of each picture; None where it has none.
        broken: rows without a caption, which are left out.
    """

    pictures: HeldPictures
    captions: Sequence[Sequence[str]]
    labels: Sequence[str | None]
    broken: Sequence[Broken]


def held_rows(source: Source, rows: Rows, preprocessing: Preprocessing) -> HeldRows:
    """Rows with their captions, those of one picture (`Source.key`) together; no picture is read yet.

    Raises:
        ClipcondError: no row has a caption.
    """
    found: dict[str, list[int]] = {}
    texts: dict[int, tuple[str, ...]] = {}
    labels: dict[int, str | None] = {}
    left_out = []
    for row in rows.tolist():
        try:
            texts[row], labels[row] = source.captions(row), source.label(row)
            found.setdefault(source.key(row), []).append(row)
        except BrokenRowError as error:
            left_out.append(broken(source, row, error))
    if not found:
        reason = f" ({left_out[0].name}: {left_out[0].reason})" if left_out else ""
        raise ClipcondError(f"held-out part: none of its {len(rows)} rows can be used{reason}")
    together = list(found.values())
    return HeldRows(
        pictures=HeldPictures(
            source, np.array([same[0] for same in together]), preprocessing.cropping(None)
        ),
        captions=[
            tuple(dict.fromkeys(text for row in same for text in texts[row])) for same in together
        ],
        labels=[
            next((labels[row] for row in same if labels[row] is not None), None)
            for same in together
        ],
        broken=left_out,
    )
