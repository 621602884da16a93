"""How fast `clipcond encode` is and whether its memory stays flat: captions of the emoji world through its text encoder.

    python -m benchmarks.encoding --prompts 100000 --json weights/encode.json

The command runs in a process of its own; its resident memory is read twice a second, and the peak of the second half of
the run is set against that of the first.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

from clipcond import emoji
from weights.lab import reports


def table(path: Path, count: int) -> None:
    """Captions of as many scenes; some come twice, as in any data set."""
    with path.open("w", encoding="utf-8") as file:
        for seed in range(count):
            text = emoji.caption(emoji.sample(seed), seed)
            file.write(json.dumps({"prompt": text}) + "\n")


def run(source: Path, out: Path) -> tuple[dict, float, list[float]]:
    """(what the command says, its seconds, its memory in MB over time)."""
    command = [sys.executable, "-m", "clipcond", "encode", str(source), "--out", str(out), "--json"]
    memory: list[float] = []
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            memory.append(watched.memory_info().rss / 1e6)
            time.sleep(0.5)
        said = json.loads(process.stdout.read())
    return said, time.perf_counter() - start, memory


def main() -> None:
    """Measure and write."""
    parser = reports.parser(__doc__, "json")
    parser.add_argument("--prompts", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "prompts.jsonl"
        table(source, args.prompts)
        said, seconds, memory = run(source, Path(folder) / "out")
    half = len(memory) // 2
    found = {
        "prompts": said["prompts"],
        "distinct": said["distinct"],
        "seconds": round(seconds, 1),
        "distinct_per_second": round(said["distinct"] / seconds),
        "megabytes_on_disk": round(said["bytes"] / 1e6),
        "memory_mb": {
            "first_half": round(max(memory[:half])),
            "second_half": round(max(memory[half:])),
        },
        "hardware": f"{reports.hardware()}, torch {torch.__version__}",
    }
    reports.write(found, args.json)


if __name__ == "__main__":
    main()
