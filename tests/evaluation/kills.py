"""Runs that are killed like kill -9, again and again, until they end; and whether they end as if they had not been.

    python -m tests.evaluation.kills --times 5      # of run, pictures, encode and index, in this process, in two, and on Ray

Prints a line a kind, with how often it was killed. Exit code 1: one ended otherwise.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from clipcond.search import Index
from clipcond.tables import write_rows

ROOT = Path(__file__).parents[2]
SECONDS = 600  # until a program that hangs is one that failed
ENGINES = {
    "local": (),
    "two processes": ("--workers", "2"),
    "ray": ("--engine", "ray", "--workers", "2"),
}


def command(verb: str, source: Path, out: Path, engine: Sequence[str]) -> list[str]:
    """What is typed, of some hundred short shards."""
    said = {
        "run": [
            "evaluate", "run", "--prompts", str(source), "--steps", "1,2", "--guidance-scale", "1", "--seeds", "8",
            "--scorer", "emoji", "--scorer", "oracle",
        ],
        "pictures": ["evaluate", "pictures", str(source), "--scorer", "emoji"],
        "encode": ["encode", str(source), "--shard-size", "4"],
        "index": ["search", "index", str(source), "--scorer", "judge"],
    }[verb]  # fmt: skip
    where = "--db" if verb == "index" else "--out"
    return [sys.executable, "-m", "clipcond", *said, where, str(out), *engine]


def begun(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """The program, in a group of its own; on one thread, since sums of several differ in their last bits."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def contents(out: Path) -> dict[str, bytes]:
    """Every file that a run leaves, but its lock and the page, which shows the same; of an index, its rows."""
    if (out / "pictures.lance").is_dir():
        rows = Index.open(out).table.to_arrow().to_pylist()
        return {row["path"]: repr(sorted(row.items())).encode() for row in rows}
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in sorted(out.rglob("*"))
        if file.is_file() and file.name not in (".lock", "report.html")
    }


def killed(words: Sequence[str], out: Path, rng: random.Random) -> bool:
    """Kill a program some shards after it began; whether it lived until then."""
    before, more, later = shards(out), rng.randint(0, 3), rng.random() * 0.5
    with begun(words) as process:
        end = time.monotonic() + SECONDS
        while process.poll() is None and shards(out) < before + more and time.monotonic() < end:
            threading.Event().wait(0.02)
        threading.Event().wait(later)
        lived = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
    return lived


def shards(out: Path) -> int:
    """How many are done."""
    files = ("parts/*.jsonl", "shard-*.safetensors", ".indexing/*/*.safetensors")
    return sum(len(list(out.glob(pattern))) for pattern in files)


def ends_alike(verb: str, source: Path, engine: str, times: int, seed: int) -> tuple[int, bool]:
    """(how often it was killed, whether what it left is what an uninterrupted run leaves)."""
    rng = random.Random(f"{verb} {engine} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        whole, out = Path(folder) / "whole", Path(folder) / "out"
        finished(command(verb, source, whole, ()))
        words = command(verb, source, out, ENGINES[engine])
        count = sum(killed(words, out, rng) for _ in range(times))
        finished(words)
        return count, contents(out) == contents(whole)


def finished(words: Sequence[str]) -> None:
    """Let it run to its end."""
    with begun(words) as process:
        if process.wait(SECONDS):
            raise SystemExit(f"{' '.join(words)} failed")


def sources(folder: Path) -> dict[str, Path]:
    """What each verb is given."""
    from clipcond import emoji

    texts = [text for task in emoji.tasks().values() for text in task]
    prompts = folder / "prompts.txt"
    prompts.write_text("\n".join(texts[:64]))
    rows = []
    for number in range(480):
        scene = emoji.sample(number)
        emoji.render(scene, 32).save(folder / f"{number}.png")
        rows.append({"file": f"{number}.png", "prompt": emoji.caption(scene, number)})
    write_rows(rows, folder / "pictures.csv")
    return {"run": prompts, "pictures": folder / "pictures.csv", "encode": prompts, "index": folder}


def main() -> int:
    """Kill, and say how it ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5, help="of each kind")
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--verb", choices=("run", "pictures", "encode", "index"), action="append")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        given = sources(Path(folder))
        for engine in args.engine or ENGINES:
            for verb in args.verb or given:
                count, alike = ends_alike(verb, given[verb], engine, args.times, args.seed)
                good &= alike
                what = "as if it had not been" if alike else "OTHERWISE"
                sys.stdout.write(f"{verb}, {engine}: killed {count} times, it ended {what}\n")
                sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
