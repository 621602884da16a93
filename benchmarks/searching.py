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

from clipcond import ClipScorer, emoji
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
    return found | {"update": _updated(index, scorer, pictures)}


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
    return found


PARTS: dict[str, Callable[[Path, argparse.Namespace], Json]] = {
    "scenes": scenes,
    "million": million,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--scenes", type=int, default=20_000)
    parser.add_argument("--asked", type=int, default=2_000, help="captions")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="one part, the other from the JSON"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    known = args.only and args.json and args.json.exists()
    found: Json = json.loads(args.json.read_text()) if known else {}
    for name in args.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = PARTS[name](Path(folder), args)
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
