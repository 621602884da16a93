"""The ten nearest of 100,000 vectors of 768 numbers, exactly: of 64 queries at once (`Index.search_each`), and of one. Peer: faiss's flat index. Here the
vectors lie in a LanceDB table on the disk, of which they are read for each call (a query alone takes about as long as 64); faiss holds them
in memory. What both find is compared first. A million vectors: `python -m benchmarks.searching`."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.race import Products, Row, race
from clipcond.search import Index
from clipcond.search.table import COLUMNS, make_table

COUNT, DIM, QUERIES, TOP, AT_ONCE = 100_000, 768, 64, 10, 10_000
TARGET = 2.0


def fill(folder: Path, batches: Iterable[np.ndarray]) -> None:
    """An index of vectors [n, dim] without pictures."""
    table, number = None, 0
    for some in batches:
        dim = some.shape[1]
        if table is None:
            (folder / "about.json").write_text(json.dumps({"dim": dim}))
            table = make_table(folder, dim)
        data = {name: pa.nulls(len(some), table.schema.field(name).type) for name in COLUMNS}
        data |= {
            "path": pa.array([f"{number + i}.png" for i in range(len(some))]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), dim),
        }
        table.add(pa.table(data, schema=table.schema))
        number += len(some)


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 no device is used
    """Two: queries a second."""
    import faiss

    faiss.omp_set_num_threads(1)
    vectors = np.random.default_rng(0).normal(size=(COUNT, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    queries = vectors[:QUERIES].copy()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), np.split(vectors, COUNT // AT_ONCE))
        index = Index.open(folder)
        own = [[hit.path for hit in hits] for hits in index.search_each(list(queries), top=TOP)]
        if own != [[f"{i}.png" for i in line] for line in flat.search(queries, TOP)[1].tolist()]:
            raise SystemExit("search: the nearest differ")
        yield race(
            "search/64 queries at once/faiss flat",
            lambda: index.search_each(list(queries), top=TOP),
            lambda: flat.search(queries, TOP),
            count=QUERIES,
            unit="queries/s",
            device=torch.device("cpu"),
            target=TARGET,
            products=Products(2.0 * QUERIES * COUNT * DIM, (QUERIES, DIM, 16_384)),
        )
        yield race(
            "search/one query/faiss flat",
            lambda: index.search(queries[0], top=TOP),
            lambda: flat.search(queries[:1], TOP),
            count=1,
            unit="queries/s",
            device=torch.device("cpu"),
        )
