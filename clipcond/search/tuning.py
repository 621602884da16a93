"""An approximate index for millions of pictures, and how much it finds of what is there."""

import time
from typing import Any, Literal

import numpy as np

from clipcond.errors import ClipcondError
from clipcond.search.table import approximately

LEAST = 256  # rows that a product quantizer is trained on


def tune(table: Any, *, queries: int, top: int, metric: Literal["dot"]) -> dict[str, int | float]:
    """Make LanceDB's IVF_PQ index; recall and median times beside exact search.

    Args:
        table: LanceDB's.
        queries: rows that are asked for their neighbours.
        top: neighbours.
        metric: of the vectors.

    Raises:
        ClipcondError: too few rows.
    """
    count = table.count_rows()
    if count < LEAST:
        raise ClipcondError(
            f"{count} pictures are too few for an approximate index; exact search needs none below {LEAST}"
        )
    from lancedb.index import IvfPq

    dim = table.schema.field("vector").type.list_size
    table.create_index("vector", config=IvfPq(distance_type=metric, num_sub_vectors=_parts(dim)))
    places = np.random.default_rng(0).choice(count, min(queries, count), replace=False)
    asked = table.take_offsets(places.tolist()).to_list()
    shares: list[float] = []
    times: dict[str, list[float]] = {"exact": [], "approximate": []}
    for row in asked:
        found = {}
        for name in times:
            search = (
                table.search(row["vector"], vector_column_name="vector")
                .distance_type(metric)
                .select(["path", "_distance"])
            )
            search = search.bypass_vector_index() if name == "exact" else approximately(search)
            start = time.perf_counter()
            found[name] = {hit["path"] for hit in search.limit(top).to_list()}
            times[name].append(time.perf_counter() - start)
        shares.append(len(found["exact"] & found["approximate"]) / len(found["exact"]))
    return {
        "pictures": count,
        "recall": float(np.mean(shares)),
        **{f"{name}_ms": 1000 * float(np.median(own)) for name, own in times.items()},
    }


def _parts(dim: int) -> int:
    """Sub-vectors of eight numbers, or as near to it as divides the whole."""
    return next(dim // size for size in (8, 4, 2, 1) if dim % size == 0)
