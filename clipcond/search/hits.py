"""What was found: pictures with their cosine, near duplicates told with the best of them; and the search for many at once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

_NOT_TOLD = ("path", "vector", "_distance", "_rowid")
_AT_ONCE = 16_384  # vectors: 50 MB of 768 numbers


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    Attributes:
        path: of its file, or of a member of an archive.
        score: cosine with the query.
        row: its other columns.
        alike: paths of near duplicates of it, further down.
    """

    path: str
    score: float
    row: dict[str, Any] = field(repr=False)
    alike: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"path": self.path, "score": self.score, **self.row, "alike": list(self.alike)}


def hit_of(row: dict[str, Any], score: float) -> Hit:
    """A row of the table as what was found."""
    told = {name: value for name, value in row.items() if name not in _NOT_TOLD}
    return Hit(row["path"], score, told)


def told_once(kept: list[tuple[Hit, Any]], threshold: int | float | None) -> list[Hit]:
    """Hits without those that are alike to a better one, which has their paths."""
    if threshold is None:
        return [hit for hit, _ in kept]
    first: list[tuple[Hit, np.ndarray, list[str]]] = []
    for hit, vector in kept:
        own = np.asarray(vector, np.float32)
        better = next((paths for _, other, paths in first if float(own @ other) >= threshold), None)
        if better is None:
            first.append((hit, own, []))
        else:
            better.append(hit.path)
    return [Hit(hit.path, hit.score, hit.row, tuple(paths)) for hit, _, paths in first]


def nearest_of_each(
    table: Any, rows: Any, queries: Float[np.ndarray, "n dim"], top: int
) -> list[list[Hit]]:
    """The nearest of each query, exactly: vectors are read once, a block at a time, however many queries there are.

    Args:
        table: LanceDB's.
        rows: its query for those rows that are looked at.
        queries: unit vectors.
        top: how many at most.
    """
    scores: np.ndarray = np.zeros((len(queries), 0), np.float32)
    ids: np.ndarray = np.zeros((len(queries), 0), np.uint64)
    for batch in (
        rows.select(["vector"]).with_row_id(with_row_id=True).limit(None).to_batches(_AT_ONCE)
    ):
        flat = batch.column("vector").flatten().to_numpy(zero_copy_only=False)
        own = queries @ flat.reshape(len(batch), -1).T
        here = np.broadcast_to(batch.column("_rowid").to_numpy(), own.shape)
        scores, ids = np.hstack([scores, own]), np.hstack([ids, here])
        if scores.shape[1] > top:
            best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
            scores, ids = (np.take_along_axis(each, best, axis=1) for each in (scores, ids))
    found = table.take_row_ids(np.unique(ids).tolist()).with_row_id().to_list()
    known = {row["_rowid"]: row for row in found}
    order = np.argsort(-scores, axis=1, kind="stable")
    return [
        [hit_of(known[ids[q, i]], float(scores[q, i])) for i in own.tolist()]
        for q, own in enumerate(order)
    ]
