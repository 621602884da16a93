"""What a local cluster of Ray costs beside two local processes: `clipcond encode` of 4,000 captions with the shipped model, the whole command on two cores,
seconds on the clock. The limit is 15 s more. What both write is compared."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.race import Row, row_of

COUNT, MORE = 4_000, 15.0


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 it is a CPU's
    """One: seconds."""
    from clipcond import emoji

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "prompts.jsonl"
        with table.open("w", encoding="utf-8") as file:
            for seed in range(COUNT):
                text = emoji.caption(emoji.sample(seed), seed)
                file.write(json.dumps({"prompt": text}) + "\n")
        found = {name: _encoded(table, Path(folder) / name, name) for name in ("local", "ray")}
        if found["local"][1] != found["ray"][1]:
            raise SystemExit("ray_overhead: the shards differ")
    more = found["ray"][0] - found["local"][0]
    yield row_of(
        "ray_overhead/4,000 captions, two workers/limit of what it costs more",
        [(max(more, 0.01), MORE)],
        unit="s",
        target=1.0,
        less=True,
    )


def _encoded(table: Path, out: Path, engine: str) -> tuple[float, dict[str, bytes]]:
    """Seconds, and what was written."""
    typed = ["encode", str(table), "--out", str(out), "--workers", "2", "--engine", engine]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "clipcond", *typed], env=environment, capture_output=True, check=True
    )
    seconds = time.perf_counter() - start
    return seconds, {file.name: file.read_bytes() for file in out.glob("*.safetensors")}
