"""Search at scale: a million random vectors, exact and by an approximate index, beside faiss's flat index.

    python -m benchmarks.searching --json benchmarks/searching.json       # about ten minutes on two cores

Vectors are random and unit, 512 numbers each, around 10,000 centres, since neighbours of plain noise are all equally far. faiss
(pip install faiss-cpu) is left out where it is not installed. Times are medians of 20 queries, memory is what the process
has at most.
"""

import argparse
import importlib.util
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clipcond.search import Index
from clipcond.search.table import COLUMNS, make_table

DIM, CENTRES, AT_ONCE, QUERIES = 512, 10_000, 50_000, 20
Json = dict[str, Any]


def vectors(count: int) -> Any:
    """[at once, dim] unit vectors, batch by batch, the same each time."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CENTRES, DIM)).astype(np.float32)
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        some = centres[rng.integers(CENTRES, size=size)] + rng.normal(size=(size, DIM)).astype(
            np.float32
        )
        yield some / np.linalg.norm(some, axis=1, keepdims=True)


def median_ms(ask: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    """Of one query after another, the first not counted."""
    ask(queries[0])
    times = []
    for query in queries:
        start = time.perf_counter()
        ask(query)
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)), 1)


def peak_mb() -> int:
    """Of this process until now."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def lance(folder: Path, count: int, queries: np.ndarray) -> Json:
    """LanceDB through `Index`, exact, then with an approximate index."""
    (folder / "about.json").write_text(json.dumps({"dim": DIM}))
    table, start = make_table(folder, DIM), time.perf_counter()
    number = 0
    for some in vectors(count):
        paths = [f"{number + i}.png" for i in range(len(some))]
        data = {name: pa.nulls(len(some), table.schema.field(name).type) for name in COLUMNS}
        data |= {
            "path": pa.array(paths),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), DIM),
        }
        table.add(pa.table(data, schema=table.schema))
        number += len(some)
    found: Json = {"write_s": round(time.perf_counter() - start)}
    index = Index.open(folder)
    found["exact_ms"] = median_ms(index.search, queries)
    found["peak_mb"] = peak_mb()
    start = time.perf_counter()
    told = index.tune(queries=50)
    found["tune_s"] = round(time.perf_counter() - start)
    found["recall"] = round(told["recall"], 3)
    found["approximate_ms"] = median_ms(lambda query: index.search(query, exact=False), queries)
    return found


def flat(count: int, queries: np.ndarray) -> Json:
    """faiss, all in memory."""
    import faiss

    index = faiss.IndexFlatIP(DIM)
    for some in vectors(count):
        index.add(some)
    return {
        "exact_ms": median_ms(lambda query: index.search(query[None], 10), queries),
        "peak_mb": peak_mb(),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    queries = next(iter(vectors(QUERIES)))
    found: Json = {"rows": args.rows, "dim": DIM}
    with tempfile.TemporaryDirectory() as folder:
        found["lancedb"] = lance(Path(folder), args.rows, queries)
    if importlib.util.find_spec("faiss"):
        found["faiss flat"] = flat(args.rows, queries)
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
