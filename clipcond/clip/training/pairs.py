"""The pictures of a training, and those that it is measured with."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.training.evaluation import HeldOut
from clipcond.clip.training.held_out import held_out, held_rows
from clipcond.clip.training.rows import Columns, Source
from clipcond.clip.training.sources import Rows, open_source
from clipcond.clip.training.stream import Broken

_NAMED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Opened data.

    Attributes:
        source: of the pictures that are trained on.
        rows: which of its rows those are.
        held_source: of those that are measured with; the same one, where they are a share of it.
        held_rows: which of its rows those are; none where nothing is measured.
    """

    source: Source
    rows: Rows
    held_source: Source
    held_rows: Rows

    def as_dict(self) -> dict[str, Any]:
        """How many, and a digest of some names, by which other data is told; JSON-able."""
        some = self.rows[:: max(1, len(self.rows) // _NAMED)].tolist()
        names = "\n".join(self.source.name(row) for row in some)
        return {
            "rows": len(self.rows),
            "held_out_rows": len(self.held_rows),
            "names": blake2b(names.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest(),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read at all, a line each."""
        return tuple(dict.fromkeys((*self.source.notes, *self.held_source.notes)))

    def held(self, preprocessing: Preprocessing) -> tuple[HeldOut | None, tuple[Broken, ...]]:
        """(what a CLIP is measured with, None where nothing is held out; the rows of it that have no caption).

        Raises:
            ClipcondError: no row has one.
        """
        if not len(self.held_rows):
            return None, ()
        found = held_rows(self.held_source, self.held_rows, preprocessing)
        labelled = any(label is not None for label in found.labels)
        held = HeldOut(
            pictures=found.pictures,
            captions=found.captions,
            labels=found.labels if labelled else (),
        )
        return held, tuple(found.broken)


def open_pairs(data: Any, columns: Columns, *, val: Any, share: int | float, seed: int) -> Pairs:
    """Open the data of a training, and hold out a share of it, or open other data to measure with.

    Raises:
        ClipcondError: what `open_source` and `held_out` raise.
    """
    # classes are measured with only
    source = open_source(data, columns if val is None else replace(columns, label=None))
    if val is None:
        rows, held = held_out(source, float(share), seed)
        return Pairs(source=source, rows=rows, held_source=source, held_rows=held)
    other = open_source(val, columns)
    rows, _ = held_out(source, 0.0, seed)
    held, _ = held_out(other, 0.0, seed)
    return Pairs(source=source, rows=rows, held_source=other, held_rows=held)
