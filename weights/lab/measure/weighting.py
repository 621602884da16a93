"""What each weighting mode does to pictures of the shipped model: does the weighted object come and go with its weight?

    python -m weights.lab.measure.weighting                # draws, measures, writes the JSON, the plot and the page
    python -m weights.lab.measure.weighting --page-only    # the plot and the page again, from the JSON
    python -m weights.lab.measure.weighting --pairs 4 --json out/w.json --docs out   # a dry run

Writes weights/weighting.json, docs/weighting.md (from weights/lab/templates/weighting.md) and docs/weighting.png. Held-out
two-object prompts, one object's phrase weighted; the oracle says which objects a picture shows. All modes draw the same
prompts from the same seeds. All intervals are over prompts.
"""

from pathlib import Path

import numpy as np

from clipcond import Conditioner
from clipcond.weighting import MODES
from weights.lab.drawing import Studio
from weights.lab.evaluate import PAIRS, WEIGHTED_SEEDS, Pair, found_at_weight, weighted_pairs
from weights.lab.reports import (
    TEMPLATES,
    Json,
    draw_band,
    interval,
    page_options,
    panels,
    percent,
    points,
    publish,
    table,
)

WEIGHTS = (0.3, 0.6, 1.0, 1.4, 1.8)
MEASURED = tuple(mode for mode in MODES if mode != "none")


def measure(studio: Studio, pairs: list[Pair]) -> Json:
    """Presence of both objects, and what a weight is worth, for each mode."""
    plain = found_at_weight(studio, pairs, 1.0, "weight 1")  # the same in every mode
    report: Json = {"weights": list(WEIGHTS), "seeds": WEIGHTED_SEEDS, "modes": {}}
    for mode in MEASURED:
        studio.conditioner = Conditioner.from_pipeline(studio.pipe, weighting=mode)
        found = np.stack([
            plain if weight == 1 else found_at_weight(studio, pairs, weight, f"{mode} {weight}")
            for weight in WEIGHTS
        ])  # fmt: skip
        report["modes"][mode] = summary(found)
    return report


def summary(found: np.ndarray) -> Json:
    """From presence [weights, pairs, 2].

    `unevenness` is the largest departure of the curve of the weighted object from the straight line between its ends,
    in points of presence, and `backward` the largest fall from one weight to the next.
    """
    weighted, other = found[..., 0], found[..., 1]
    means = weighted.mean(1)
    at = (np.array(WEIGHTS) - WEIGHTS[0]) / (WEIGHTS[-1] - WEIGHTS[0])
    line = means[0] + at * (means[-1] - means[0])
    return {
        "weighted": [interval(row) for row in weighted],
        "other": [interval(row) for row in other],
        "range": interval(weighted[-1] - weighted[0]),
        "lowering": interval(weighted[WEIGHTS.index(1.0)] - weighted[0]),
        "raising": interval(weighted[-1] - weighted[WEIGHTS.index(1.0)]),
        "cost": interval(np.minimum(other[0], other[-1]) - other[WEIGHTS.index(1.0)]),
        "unevenness": float(np.abs(means - line).max()),
        "backward": float(max(0.0, -np.diff(means).min())),
    }


def found_rows(modes: Json, key: str) -> list[tuple[str, ...]]:
    """How often an object is found: a row a mode, a column a weight."""
    return [
        (f"`{name}`", *(f"{100 * p['mean']:.0f} %" for p in found[key]))
        for name, found in modes.items()
    ]


def effect_rows(modes: Json) -> list[tuple[str, ...]]:
    """What moving a weight does, the strongest mode first."""
    return [
        (
            f"`{name}`",
            points(found["range"]),
            points(found["lowering"]),
            points(found["raising"]),
            f"{100 * found['unevenness']:.0f} points",
            f"{100 * found['backward']:.0f} points",
            points(found["cost"]),
        )
        for name, found in sorted(modes.items(), key=lambda item: -item[1]["range"]["mean"])
    ]


def law_rows() -> list[tuple[str, ...]]:
    """What holds of each mode whatever the model."""
    return [
        (
            f"`{name}`",
            "yes" if mode.always_finite else "else as `a1111_no_norm`, with a warning",
            "yes" if mode.independent else "no",
            "any" if mode.least < 0 else f"{mode.least:g} and over",
        )
        for name, mode in MODES.items()
    ]


def page(report: Json) -> str:
    """docs/weighting.md."""
    modes, plain = report["modes"], report["modes"]["comfy"]
    head = tuple(str(weight) for weight in report["weights"])
    one = report["weights"].index(1.0)
    return (TEMPLATES / "weighting.md").read_text().format(
        laws=table(("mode", "finite for every finite weight", "fragments independent", "weights"), law_rows()),
        presence=table(("mode, weight", *head), found_rows(modes, "weighted")),
        others=table(("mode, weight", *head), found_rows(modes, "other")),
        effects=table(
            ("mode", "0.3 to 1.8", "0.3 to 1", "1 to 1.8", "off a straight line by", "falls back by", "the other object, at worst"),
            effect_rows(modes),
        ),
        plain=percent(plain["weighted"][one]),
        plain_other=percent(plain["other"][one]),
        pairs=plain["range"]["prompts"],
        seeds=report["seeds"],
        steps=report["steps"],
        guidance=report["guidance_scale"],
        hardware=report["hardware"],
        minutes=report["minutes"],
    )  # fmt: skip


def plot(report: Json, file: Path) -> None:
    """A panel a mode: presence of both objects against the weight, with intervals."""
    columns = 4
    rows = -(-len(report["modes"]) // columns)
    size = (10, 2.6 * rows)
    with panels(file, rows, columns, figsize=size, sharex=True, sharey=True) as grid:
        for axes in grid.flat[len(report["modes"]) :]:
            axes.axis("off")
        for axes, (name, found) in zip(grid.flat, report["modes"].items(), strict=False):
            for key, color in (("weighted", "tab:red"), ("other", "tab:gray")):
                draw_band(axes, report["weights"], found[key], label=key, color=color)
            axes.axvline(1, color="0.85", linewidth=1, zorder=0)
            axes.set(title=name, ylim=(0, 1))
        for axes in grid[-1]:
            axes.set_xlabel("weight")
        grid[0, 0].set_ylabel("found by the oracle")
        grid[0, 0].legend(frameon=False)


def main() -> None:
    """Draw, measure, write."""
    parser = page_options(__doc__, "weighting")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="prompts")
    parser.add_argument("--split", choices=["held_out", "train"], default="held_out")
    args = parser.parse_args()

    def measured() -> Json:
        return measure(Studio(args), weighted_pairs(args.split, args.pairs))

    publish(args, "weighting", measure=measured, page=page, plot=plot)


if __name__ == "__main__":
    main()
