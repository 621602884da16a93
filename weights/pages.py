"""What the scripts share that measure the shipped model and write a page of docs: options, JSON, page and plot."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from clipcond import emoji

ROOT = Path(__file__).parents[1]
Json = dict[str, Any]


def percent(found: dict[str, float]) -> str:
    """A mean with its 95 % interval."""
    return f"{100 * found['mean']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})"


def points(found: dict[str, float]) -> str:
    """A difference in percentage points with its 95 % interval."""
    return f"{100 * found['mean']:+.1f} points ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def options(description: str | None, name: str) -> argparse.ArgumentParser:
    """The options of a script that writes weights/NAME.json, docs/NAME.md and docs/NAME.png."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=ROOT / "weights" / "emoji")
    parser.add_argument("--steps", type=int, default=emoji.DEFAULT_STEPS)
    parser.add_argument("--guidance-scale", type=float, default=emoji.DEFAULT_GUIDANCE_SCALE)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, default=ROOT / "weights" / f"{name}.json")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where page and plot go")
    parser.add_argument("--page-only", action="store_true", help="from the JSON that is there")
    return parser


def publish(
    args: argparse.Namespace,
    name: str,
    *,
    measure: Callable[[], Json],
    page: Callable[[Json], str],
    plot: Callable[[Json, Path], None],
) -> None:
    """Measure, unless told not to, and write the JSON; then page and plot from it."""
    if not args.page_only:
        start = time.monotonic()
        report = measure()
        report |= {
            "steps": args.steps,
            "guidance_scale": args.guidance_scale,
            "hardware": f"{torch.get_num_threads()} CPU threads"
            if args.device == "cpu"
            else torch.cuda.get_device_name(),
            "minutes": round((time.monotonic() - start) / 60, 1),
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1, default=float) + "\n")
    report = json.loads(args.json.read_text())
    args.docs.mkdir(parents=True, exist_ok=True)
    (args.docs / f"{name}.md").write_text(page(report))
    plot(report, args.docs / f"{name}.png")
