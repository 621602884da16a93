"""The pictures of a training, and those that it is measured with."""

import io
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from clipcond.clip.images import load_picture
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.training.evaluation import HeldOut
from clipcond.clip.training.rows import BrokenRowError, Columns, Source
from clipcond.clip.training.sources import Rows, held_out, open_source
from clipcond.errors import ScoreError


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

    def as_dict(self) -> dict[str, int]:
        """How many; JSON-able."""
        return {"rows": len(self.rows), "held_out_rows": len(self.held_rows)}


def open_pairs(data: Any, columns: Columns, *, val: Any, share: int | float, seed: int) -> Pairs:
    """Open the data of a training, and hold out a share of it, or open other data to measure with.

    Raises:
        ClipcondError: what `open_source` and `held_out` raise.
    """
    source = open_source(data, columns)
    if val is None:
        rows, held = held_out(source, share, seed)
        return Pairs(source=source, rows=rows, held_source=source, held_rows=held)
    other = open_source(val, columns)
    rows, _ = held_out(source, 0, seed)
    held, _ = held_out(other, 0, seed)
    return Pairs(source=source, rows=rows, held_source=other, held_rows=held)


class Prepared:
    """Pictures of some rows as an image tower reads them, by number."""

    def __init__(self, source: Source, rows: tuple[int, ...], preprocessing: Preprocessing) -> None:
        self.source, self.rows, self.preprocessing = source, rows, preprocessing

    def __getitem__(self, number: int) -> torch.Tensor | None:
        try:
            with Image.open(io.BytesIO(self.source.picture(self.rows[number]))) as opened:
                (view,) = self.preprocessing.views(load_picture(opened))
        # Pillow's decoders raise whatever a damaged picture makes them stumble over
        except Exception:  # noqa: BLE001
            return None
        return view


def held_set(pairs: Pairs, preprocessing: Preprocessing) -> HeldOut | None:
    """What a CLIP is measured with; rows of one picture are one, with all their captions. None where nothing is held out."""
    source = pairs.held_source
    joined: dict[str, tuple[int, list[str]]] = {}
    for row in pairs.held_rows.tolist():
        try:
            key, captions = source.key(row), source.captions(row)
        except BrokenRowError:
            continue
        joined.setdefault(key, (row, []))[1].extend(captions)
    if not joined:
        return None
    rows = tuple(row for row, _ in joined.values())
    labels = [source.label(row) for row in rows]
    return HeldOut(
        pictures=Prepared(source, rows, preprocessing),
        captions=[list(dict.fromkeys(captions)) for _, captions in joined.values()],
        labels=labels if any(labels) else (),
    )
