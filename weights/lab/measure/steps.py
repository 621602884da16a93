"""What acts inside the denoiser, on pictures of the shipped model: schedules, AND, guidance, regions, maps, drafts.

    python -m weights.lab.measure.steps                    # draws, measures, writes the JSON, the plot and the page
    python -m weights.lab.measure.steps --only guiding     # one part again, the others from the JSON
    python -m weights.lab.measure.steps --page-only        # the plot and the page again, from the JSON

Writes weights/steps.json, docs/steps.md (from weights/lab/templates/steps.md) and docs/steps.png. Each part is a module
beside this one. The prompts are held out, the oracle says what a picture shows, and all intervals are over prompts.
"""

import argparse
import json
import time
from pathlib import Path
from types import ModuleType

from clipcond import Conditioner
from weights.lab.drawing import Studio
from weights.lab.measure import (
    composing,
    drafting,
    guiding,
    looking,
    placing,
    repainting,
    switching,
)
from weights.lab.reports import TEMPLATES, Json, page_options, panels, publish

# each has `measure`, `told` for the page, and most have `plot`
PARTS: dict[str, ModuleType] = {
    "switching": switching,
    "composing": composing,
    "repainting": repainting,
    "guiding": guiding,
    "placing": placing,
    "looking": looking,
    "drafting": drafting,
}
PLOTTED = ("switching", "composing", "guiding", "drafting")


def measure(args: argparse.Namespace) -> Json:
    """The parts asked for, beside those measured before; all where none is named."""
    report: Json = json.loads(args.json.read_text()) if args.only else {}
    studio = Studio(args)
    studio.conditioner = Conditioner.from_pipeline(studio.pipe, dialect="a1111+")
    for name in args.only or PARTS:
        start = time.process_time()
        report[name] = PARTS[name].measure(studio, args)
        report[name]["cpu_minutes"] = round((time.process_time() - start) / 60, 1)
    return report


def page(report: Json) -> str:
    """docs/steps.md."""
    told: dict[str, str] = {}
    for name, part in PARTS.items():
        told |= part.told(report[name])
    return (TEMPLATES / "steps.md").read_text().format(
        **told,
        steps=report["steps"],
        guidance=report["guidance_scale"],
        hardware=report["hardware"],
        minutes=f"{sum(report[name]['cpu_minutes'] for name in PARTS):.0f}",
    )  # fmt: skip


def plot(report: Json, file: Path) -> None:
    """A panel for each part that has one."""
    with panels(file, 2, 2, figsize=(10, 7.5)) as grid:
        for name, axes in zip(PLOTTED, grid.flat, strict=True):
            PARTS[name].plot(report[name], axes)


def main() -> None:
    """Draw, measure, write."""
    parser = page_options(__doc__, "steps", "judge")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part of it")
    args = parser.parse_args()
    publish(args, "steps", measure=lambda: measure(args), page=page, plot=plot)


if __name__ == "__main__":
    main()
