"""Seconds and megabytes of a whole process that imports and ends, the median of five: `import clipcond` and `import clipcond.prompt`, which load no
torch, beside a limit of 0.25 s and 60 MB, and `clipcond --help`, beside `import compel`."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import torch

from benchmarks.race import ROUNDS, Row, row_of

SECONDS, MEGABYTES = 0.25, 60.0
# Linux's own count: that of getrusage begins with what the parent had
_PEAK = "import sys; sys.stdout.write([x for x in open('/proc/self/status') if x.startswith('VmHWM')][0].split()[1])"


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 no device is used
    """Six: seconds, megabytes."""
    lines = {
        "import clipcond": ["-c", "import clipcond"],
        "import clipcond.prompt": ["-c", "import clipcond.prompt"],
    }
    for name, line in lines.items():
        yield row_of(
            f"imports/{name}/limit", [(_seconds(line), SECONDS)], unit="s", target=1.0, less=True
        )
        yield row_of(
            f"imports/{name}, memory/limit",
            [(_megabytes(line), MEGABYTES)],
            unit="MB",
            target=1.0,
            less=True,
        )
    compel = _seconds(["-c", "import compel"])
    yield row_of(
        "imports/clipcond --help/import compel",
        [(_seconds(["-m", "clipcond", "--help"]), compel)],
        unit="s",
        less=True,
    )


def _seconds(line: list[str]) -> float:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *line], check=True, capture_output=True)
        return time.perf_counter() - start

    once()
    return statistics.median(once() for _ in range(ROUNDS))


def _megabytes(line: list[str]) -> float:
    told = [sys.executable, "-c", f"{line[-1]}\n{_PEAK}"]
    found = subprocess.run(told, check=True, capture_output=True, text=True).stdout
    return int(found) / 1024
