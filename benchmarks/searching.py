"""Search at scale: a million random vectors beside faiss's flat index; and 20,000 emoji scenes, found as the scorer's own matrix says.

    python -m benchmarks.searching --json benchmarks/searching.json       # about a quarter of an hour on two cores

"scenes" renders pictures, indexes them, asks for each caption, and compares the lists with a full matrix of the scorer's; then adds,
deletes, renames and changes 100 files of each and counts what the image tower saw.

Vectors are random and unit, 512 numbers each, around 10,000 centres, since neighbours of plain noise are all equally far. faiss
(pip install faiss-cpu) is left out where it is not installed. Times are medians of 20 queries, memory is what the process
has at most.
"""

import argparse
import importlib.util
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts import Json, Part, run
from benchmarks.rows.search import fill
from clipcond import ClipScorer, emoji
from clipcond.search import Index

DIM, CENTRES, AT_ONCE, QUERIES = 512, 10_000, 50_000, 20


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
    start = time.perf_counter()
    fill(folder, vectors(count))
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


def scenes(folder: Path, args: argparse.Namespace) -> Json:
    """Recall of captions, beside the whole matrix; and what an update looks at."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(args.scenes):
        emoji.render(emoji.sample(number), 32).save(pictures / f"{number}.png")
    scorer = ClipScorer.from_pretrained("judge", batch_size=64)
    index = Index.open(folder / "db", scorer)
    start = time.perf_counter()
    index.add([pictures])
    found: Json = {"scenes": args.scenes, "index_s": round(time.perf_counter() - start)}
    rows = index.table.search().select(["path", "vector"]).limit(args.scenes).to_arrow()
    paths = rows.column("path").to_pylist()
    vectors = np.stack(rows.column("vector").to_numpy())
    asked = np.random.default_rng(0).choice(args.scenes, args.asked, replace=False).tolist()
    same = right = 0
    for number in asked:
        caption = emoji.caption(emoji.sample(number), number)
        hits = index.search(caption, top=10)
        own = vectors @ scorer.text_features([caption]).features[0].numpy()
        expected = np.sort(own)[::-1][:10]
        same += bool(np.allclose([hit.score for hit in hits], expected, atol=1e-5))
        right += hits[0].path == paths[int(own.argmax())]
    found |= {"asked": len(asked), "lists_as_the_matrix": same, "first_as_the_matrix": right}
    return {"scenes": found | {"update": _updated(index, scorer, pictures)}}


def _updated(index: Index, scorer: ClipScorer, pictures: Path) -> Json:
    """Of 100 files added, deleted, renamed and changed each."""
    seen = 0
    inner = scorer.clip.model.get_image_features

    def counted(pixel_values: Any, **how: Any) -> Any:
        nonlocal seen
        seen += len(pixel_values)
        return inner(pixel_values=pixel_values, **how)

    scorer.clip.model.get_image_features = counted
    for number in range(100):
        emoji.render(emoji.sample(1_000_000 + number), 40).save(pictures / f"new-{number}.png")
        (pictures / f"{number}.png").unlink()
        (pictures / f"{number + 100}.png").rename(pictures / f"moved-{number}.png")
        emoji.render(emoji.sample(2_000_000 + number), 40).save(pictures / f"{number + 200}.png")
    told = index.add([pictures]).as_dict()
    return {name: told[name] for name in ("pictures", "encoded", "known", "removed")} | {
        "seen": seen
    }


def million(folder: Path, args: argparse.Namespace) -> Json:
    """Random vectors in LanceDB, and in faiss."""
    queries = next(iter(vectors(QUERIES)))
    found: Json = {"rows": args.rows, "dim": DIM, "lancedb": lance(folder, args.rows, queries)}
    if importlib.util.find_spec("faiss"):
        found["faiss flat"] = flat(args.rows, queries)
    return {"million": found}


PARTS: dict[str, Part] = {
    "scenes": scenes,
    "million": million,
}


def main() -> None:
    """Measure, print, write."""
    run(
        __doc__,
        PARTS,
        {
            "--rows": dict(type=int, default=1_000_000),
            "--scenes": dict(type=int, default=20_000),
            "--asked": dict(type=int, default=2_000, help="captions"),
        },
    )


if __name__ == "__main__":
    main()
