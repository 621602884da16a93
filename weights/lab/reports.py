"""What the scripts share that train, measure and report: options, the JSON they leave, tables, pages and plots."""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipcond import emoji
from clipcond.emoji.world import PRESETS, SHIPPED
from clipcond.score import statistics

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights"
TEMPLATES = Path(__file__).parent / "templates"
Json = dict[str, Any]
OPTIONS: dict[str, Json] = {
    "model": dict(type=Path, default=WEIGHTS / "emoji"),
    "judge": dict(type=Path, default=WEIGHTS / "judge"),
    "preset": dict(choices=list(PRESETS), default=SHIPPED),
    "steps": dict(type=int, default=emoji.DEFAULT_STEPS),
    "guidance-scale": dict(type=float, default=emoji.DEFAULT_GUIDANCE_SCALE),
    "batch-size": dict(type=int, default=40),
    "device": dict(default="cuda" if torch.cuda.is_available() else "cpu"),
    "json": dict(type=Path, help="write here too"),
}
SAMPLING = ("model", "steps", "guidance-scale", "batch-size", "device")


def interval(per_prompt: np.ndarray) -> Json:
    """Mean and its 95 % interval over prompts."""
    found = statistics.interval(np.asarray(per_prompt, float))
    return {"mean": found.mean, "low": found.low, "high": found.high, "prompts": found.clusters}


def percent(found: Json) -> str:
    """A mean with its 95 % interval."""
    if found["mean"] is None:
        return "nothing to measure"
    return f"{100 * found['mean']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})"


def points(found: Json) -> str:
    """A difference in percentage points with its 95 % interval."""
    return f"{100 * found['mean']:+.1f} points ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def hardware(device: str = "cpu") -> str:
    """What a figure was measured on."""
    if device != "cpu":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def parser(description: str | None, *shared: str, **defaults: Any) -> argparse.ArgumentParser:
    """A script's, with the docstring as it stands for help, and the `OPTIONS` that it shares with others."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in shared:
        options.add_argument(f"--{name}", **OPTIONS[name])
    options.set_defaults(**defaults)
    return options


def write(found: Json, file: Path | None) -> None:
    """Print it as JSON, and write it too where a file is named."""
    text = json.dumps(found, indent=1, default=float)
    print(text)
    if file:
        file.write_text(text + "\n")


def page_options(description: str | None, name: str, *shared: str) -> argparse.ArgumentParser:
    """The options of a script that writes weights/NAME.json, docs/NAME.md and docs/NAME.png."""
    options = parser(description, *SAMPLING, "json", *shared, json=WEIGHTS / f"{name}.json")
    options.add_argument("--docs", type=Path, default=ROOT / "docs", help="where page and plot go")
    options.add_argument("--page-only", action="store_true", help="from the JSON that is there")
    return options


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
        found = measure() | {
            "steps": args.steps,
            "guidance_scale": args.guidance_scale,
            "hardware": f"{torch.get_num_threads()} CPU threads"
            if args.device == "cpu"
            else hardware(args.device),
            "minutes": round((time.monotonic() - start) / 60, 1),
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=1, default=float) + "\n")
    found = json.loads(args.json.read_text())
    args.docs.mkdir(parents=True, exist_ok=True)
    (args.docs / f"{name}.md").write_text(page(found))
    plot(found, args.docs / f"{name}.png")


@contextmanager
def panels(file: Path, *shape: int, **options: Any) -> Iterator[Any]:
    """Rows and columns of axes to plot in, written to the file at the end (needs matplotlib)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(*shape, layout="constrained", **options)
    yield axes
    figure.savefig(file, dpi=100, metadata={"Software": None})
    plt.close(figure)


def draw_band(
    axes: Any, x: list[Any], found: list[Json], *, label: str, color: str, linestyle: str = "-"
) -> None:
    """A curve with its interval."""
    mean, low, high = ([point[key] for point in found] for key in ("mean", "low", "high"))
    axes.plot(x, mean, label=label, color=color, linestyle=linestyle, marker="o", markersize=3)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
