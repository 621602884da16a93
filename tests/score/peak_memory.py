"""Peak memory of reranking a generator, counted: python -m tests.score.peak_memory 1000 1000 100000.

The first count pays for what is loaded once. One JSON line a count: `peak` is what Python and numpy had at most at
once, `resident` what the process had at most, in bytes.
"""

import json
import os
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator

import numpy as np
import psutil

import clipcond
from clipcond.score import ClipScorer
from tests.tiny import save_tiny_clip


def stream(count: int) -> Iterator[np.ndarray]:
    """Pictures made one at a time, as a pipeline would."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)


def peak_of(count: int, scorer: ClipScorer) -> dict[str, int]:
    """Rerank `count` pictures and watch."""
    process = psutil.Process(os.getpid())
    highest = 0

    def watched() -> Iterator[np.ndarray]:
        nonlocal highest
        for number, picture in enumerate(stream(count)):
            if number % 500 == 0:
                highest = max(highest, process.memory_info().rss)
            yield picture

    tracemalloc.start()
    ranking = clipcond.rerank(watched(), "a cat", scorer, top_k=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"pictures": ranking.considered, "peak": peak, "resident": highest}


def main() -> None:
    """Print a line a count."""
    with tempfile.TemporaryDirectory() as folder:
        scorer = ClipScorer.from_pretrained(save_tiny_clip(folder), batch_size=256)
    for count in map(int, sys.argv[1:]):
        sys.stdout.write(json.dumps(peak_of(count, scorer)) + "\n")


if __name__ == "__main__":
    main()
