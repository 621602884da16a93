"""Pictures that are alike, by the cosine of their vectors: near duplicates, and kinds of pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from clipcond.errors import ClipcondError
from clipcond.search.table import open_table

_AT_ONCE = 1 << 23  # cosines: 32 MB
_MOST = 1 << 26  # pairs that are held: 1.5 GB


def groups(folder: Path, threshold: int | float = 0.98) -> list[list[str]]:
    """Paths of near duplicates, the largest group first: those that a chain of pairs with such a cosine joins.

    Every picture is compared with every other, so that a million take hours: ask for the neighbours of one instead.

    Args:
        folder: of an index.
        threshold: cosine of a pair.

    Raises:
        ClipcondError: a threshold that is no cosine, or that too many pairs reach.
    """
    paths, near = _neighbours(folder, threshold)
    _, label = connected_components(near, directed=False)
    together: dict[int, list[str]] = {}
    for path, own in sorted(zip(paths, label.tolist(), strict=True)):
        together.setdefault(own, []).append(path)
    several = (own for own in together.values() if len(own) > 1)
    return sorted(several, key=lambda own: (-len(own), own))


def clusters(folder: Path, threshold: int | float = 0.9, *, least: int = 3) -> list[list[str]]:
    """Paths of pictures of a kind, the largest group first, in each the middle one first, then by path.

    Unlike `groups`, all of a group are near to its middle one, so that a chain of small steps does not join unlike pictures: the
    picture with the most neighbours takes those that are not taken yet, then the next one does (D. Butina, "Unsupervised Data Base
    Clustering Based on Daylight's Fingerprint and Tanimoto Similarity", 1999).

    Args:
        folder: of an index.
        threshold: cosine with the middle one.
        least: pictures that make a group.

    Raises:
        ClipcondError: a threshold that is no cosine, or that too many pairs reach.
    """
    paths, near = _neighbours(folder, threshold)
    degree = np.diff(near.indptr)
    order = sorted(range(len(paths)), key=lambda i: (-degree[i], paths[i]))
    free = np.ones(len(paths), bool)
    found = []
    for middle in order:
        if not free[middle]:
            continue
        around = near.indices[near.indptr[middle] : near.indptr[middle + 1]]
        own = around[free[around]]
        if len(own) + 1 >= least:
            free[own] = free[middle] = False
            found.append([paths[middle], *sorted(paths[i] for i in own.tolist())])
    return sorted(found, key=lambda own: (-len(own), own))


def _neighbours(folder: Path, threshold: int | float) -> tuple[list[str], csr_array]:
    """Paths, and which of them have such a cosine with which others, as a symmetric matrix."""
    if not -1 <= threshold <= 1:
        raise ClipcondError(f"threshold: got {threshold}; needs -1 to 1")
    found = open_table(folder).search().select(["path", "vector"]).limit(None).to_arrow()
    paths = found.column("path").to_pylist()
    flat = found.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = flat.reshape(len(paths), -1) if paths else np.zeros((0, 1), np.float32)
    couples, count = [], 0
    for some in _couples(vectors, threshold):
        couples.append(some.astype(np.int32))
        count += some.shape[1]
        if count > _MOST:
            raise ClipcondError(
                f"threshold: {threshold:g} is reached by more than {_MOST:,} pairs; raise it"
            )
    rows, columns = np.concatenate(couples, axis=1) if couples else np.zeros((2, 0), np.int32)
    both = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    size = (len(paths), len(paths))
    return paths, coo_array((np.ones(len(both[0]), bool), both), size).tocsr()


def _couples(vectors: np.ndarray, threshold: int | float) -> Iterator[np.ndarray]:
    """[2, n]: places of pairs, the first before the second."""
    block = max(1, _AT_ONCE // max(1, len(vectors)))
    for start in range(0, len(vectors), block):
        near = vectors[start : start + block] @ vectors[start:].T >= threshold
        rows, columns = np.nonzero(np.triu(near, k=1))
        yield np.stack([rows, columns]) + start
