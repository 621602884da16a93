"""How fast this library is beside its peers, a row a comparison, each in a process of its own.

    make bench-install                                                # an environment with the peers
    python -m benchmarks                                              # all rows, on an idle machine
    python -m benchmarks parse sd_batch_cfg --json out/rows.json

What a row measures is said in benchmarks/rows/. A ratio over 1 means that this library is better; it is the median over rounds
in which both took turns. On a CPU one thread and the time of the process count; on a GPU, events.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROWS = sorted(file.stem for file in (Path(__file__).parent / "rows").glob("[a-z]*.py"))
_QUIET = {
    "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore",
}  # fmt: skip


def main() -> int:
    """Measure the rows that are named, print a table, write the JSON; 1 where one could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (all)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--json", type=Path, help="write here; of rows that are not named, what is there stays"
    )
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name in args.rows:
        if name not in ROWS:
            parser.error(f"{name}: no such row; there are {', '.join(ROWS)}")
    if args.alone:
        return _measure(args.rows[0], args.device)
    return _all(args.rows or ROWS, args.device, args.json)


def _measure(name: str, device: str) -> int:
    """One row, in this process: JSON lines on standard output."""
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for row in importlib.import_module(f"benchmarks.rows.{name}").rows(torch.device(device)):
        sys.stdout.write(json.dumps(row.as_dict()) + "\n")
        sys.stdout.flush()
    return 0


def _all(names: list[str], device: str, file: Path | None) -> int:
    """Each row in a process of its own; a row whose peer is not installed is said and left out."""
    import torch

    from benchmarks.machine import machine

    found: list[dict[str, Any]] = []
    failed = []
    for name in names:
        start = time.monotonic()
        command = [sys.executable, "-m", "benchmarks", name, "--device", device, "--alone"]
        done = subprocess.run(
            command, env=os.environ | _QUIET, capture_output=True, text=True, check=False
        )
        own = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found += own
        sys.stderr.write(f"{name}: {time.monotonic() - start:.0f} s\n")
        if done.returncode:
            failed.append(name)
            sys.stderr.write("".join(f"  {line}\n" for line in done.stderr.splitlines()[-3:]))
    _show(found)
    if file:
        _write(file, machine(torch.device(device)), found)
    return 1 if failed else 0


def _write(file: Path, machine: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Rows that were measured now replace those of the same names."""
    now = {row["row"].partition("/")[0] for row in found}
    known = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []
    kept = [row for row in known if row["row"].partition("/")[0] not in now]
    rows = sorted(kept + found, key=lambda row: ROWS.index(row["row"].partition("/")[0]))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )


def _show(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("row", "ours", "peer", "unit", "ratio", "target", "limit", box=None)
    for row in found:
        target = (
            ""
            if row["target"] is None
            else f"{row['target']:g} {'met' if row['met'] else 'missed'}"
        )
        share = "" if row["limit_share"] is None else f"{100 * row['limit_share']:.0f} %"
        spread = f"{row['ratio']:.3g} ({row['ratio_min']:.3g} to {row['ratio_max']:.3g})"
        table.add_row(
            row["row"],
            f"{row['ours']:.4g}",
            f"{row['peer']:.4g}",
            row["unit"],
            spread,
            target,
            share,
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    sys.exit(main())
