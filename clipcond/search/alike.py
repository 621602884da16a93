"""Pictures that are alike: groups by the cosine of their vectors, found a block at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clipcond.errors import ClipcondError
from clipcond.search.table import open_table

_AT_ONCE = 1 << 23  # cosines: 32 MB


def groups(folder: Path, threshold: int | float = 0.98) -> list[list[str]]:
    """Paths of pictures that are alike, the largest group first: those that a chain of pairs with such a cosine joins.

    Every picture is compared with every other, so that a million take hours: ask for the neighbours of one instead.

    Args:
        folder: of an index.
        threshold: cosine; 0.98 for near duplicates, less for kinds of pictures.

    Raises:
        ClipcondError: a threshold that is no cosine.
    """
    if not -1 <= threshold <= 1:
        raise ClipcondError(f"threshold: got {threshold}; needs -1 to 1")
    found = open_table(folder).search().select(["path", "vector"]).limit(None).to_arrow()
    paths = found.column("path").to_pylist()
    flat = found.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = flat.reshape(len(paths), -1) if paths else np.zeros((0, 1), np.float32)
    couples = list(_couples(vectors, threshold))
    rows, columns = np.concatenate(couples, axis=1) if couples else np.zeros((2, 0), int)
    size = (len(paths), len(paths))
    graph = coo_array((np.ones(len(rows)), (rows, columns)), size)
    _, label = connected_components(graph, directed=False)
    together: dict[int, list[str]] = {}
    for path, own in sorted(zip(paths, label.tolist(), strict=True)):
        together.setdefault(own, []).append(path)
    several = (own for own in together.values() if len(own) > 1)
    return sorted(several, key=lambda own: (-len(own), own))


def _couples(vectors: np.ndarray, threshold: int | float) -> Iterator[np.ndarray]:
    """[2, n]: places of pairs, the first before the second."""
    block = max(1, _AT_ONCE // max(1, len(vectors)))
    for start in range(0, len(vectors), block):
        near = vectors[start : start + block] @ vectors[start:].T >= threshold
        rows, columns = np.nonzero(np.triu(near, k=1))
        yield np.stack([rows, columns]) + start
