"""What reranking is worth on the shipped model: best of n by its own CLIP, by the judge and by the oracle.

    python -m weights.lab.measure.reranking                # draws, measures, writes the JSON, the plot and the page
    python -m weights.lab.measure.reranking --page-only    # the plot and the page again, from the JSON
    python -m weights.lab.measure.reranking --prompts 8 --candidates 8 --json out/r.json --docs out   # a dry run

Writes weights/reranking.json, docs/reranking.md (from weights/lab/templates/reranking.md) and docs/reranking.png (needs
matplotlib). The prompts are held out, of the four hard tasks in equal parts. All intervals are over prompts.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from clipcond import ClipScorer
from clipcond.score import best_of_n, interval
from weights.lab.drawing import HARD, Studio, hard_prompts, judged
from weights.lab.reports import (
    TEMPLATES,
    Json,
    draw_band,
    page_options,
    panels,
    percent,
    publish,
    table,
)

SELECTORS = {
    "clip": ("by the CLIP that conditioned the pictures", "tab:red"),
    "judge": ("by the judge, which conditioned nothing", "tab:blue"),
    "oracle": ("by the oracle (the ceiling)", "tab:gray"),
}
SHOWN = (8, 64)
Scores = dict[str, np.ndarray]  # [prompts, candidates]


def sizes(candidates: int) -> list[int]:
    """1, 2, 4 ... up to the number of candidates, and that number itself."""
    return sorted({2**i for i in range(candidates.bit_length())} | {candidates})


def draw_and_score(args: argparse.Namespace) -> Scores:
    """Scores of every candidate: by clip, by judge, and 0 or 1 by the oracle."""
    prompts = hard_prompts(args.prompts)
    rows = Studio(args).table(prompts, args.candidates, "reranking")
    scores = {"oracle": np.array(judged(prompts, rows), dtype=bool).astype(float)}
    for name, folder in (("clip", args.model), ("judge", args.judge)):
        scorer = ClipScorer.from_pretrained(folder)
        scores[name] = np.stack(
            [scorer.score(row, p).values.numpy() for p, row in zip(prompts, rows, strict=True)]
        ).astype(float)
    return scores


def by_prompt_z(scores: np.ndarray) -> np.ndarray:
    """Each prompt's scores at mean 0 and deviation 1; 0 where all are equal."""
    deviation = scores.std(1, keepdims=True)
    return np.where(
        deviation > 0, (scores - scores.mean(1, keepdims=True)) / np.maximum(deviation, 1e-12), 0
    )


def share_of_gain(chosen: np.ndarray, ceiling: np.ndarray, mean: np.ndarray) -> Json:
    """(chosen - mean) / (ceiling - mean) of means over prompts, with its interval; nothing where nothing is to gain."""
    if not (ceiling > mean).any():
        return {"mean": None, "low": None, "high": None}

    def ratio(c: np.ndarray, top: np.ndarray, m: np.ndarray, axis: int = 0) -> np.ndarray:
        room = (top - m).sum(axis)
        return np.where(room > 0, (c - m).sum(axis) / np.maximum(room, 1e-12), 0)

    bounds = stats.bootstrap(
        (chosen, ceiling, mean),
        ratio,
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {"mean": float(ratio(chosen, ceiling, mean)), "low": bounds.low, "high": bounds.high}


def right_above_wrong(scores: np.ndarray, truth: np.ndarray) -> Json:
    """Chance that a right picture scores above a wrong one of the same prompt (AUC), over prompts that have both."""
    areas = []
    for row, right in zip(scores, truth.astype(bool), strict=True):
        if right.any() and not right.all():
            wins = stats.mannwhitneyu(row[right], row[~right]).statistic
            areas.append(wins / (right.sum() * (~right).sum()))
    return (
        interval(areas).as_dict() if len(areas) > 1 else {"mean": None, "low": None, "high": None}
    )


def measure(scores: Scores) -> Json:
    """Curves of truth, the share of the possible gain, and how far each score rises when another chooses."""
    truth = scores["oracle"]
    steps = sizes(truth.shape[1])
    curves = {name: best_of_n(by, truth, steps) for name, by in scores.items()}
    z = {name: by_prompt_z(by) for name, by in scores.items() if name != "oracle"}
    report: Json = {
        "n": steps,
        "prompts": len(truth),
        "candidates": truth.shape[1],
        "accuracy": {
            name: [i.as_dict() for i in curve.intervals] for name, curve in curves.items()
        },
        "share_of_gain": {
            name: [
                share_of_gain(
                    curves[name].per_prompt[:, i],
                    curves["oracle"].per_prompt[:, i],
                    truth.mean(1),
                )
                for i in range(len(steps))
            ]
            for name in z
        },
        "right_above_wrong": {name: right_above_wrong(by, truth) for name, by in z.items()},
        "rises": {
            chooser: {
                name: [i.as_dict() for i in best_of_n(by, seen, steps).intervals]
                for name, seen in z.items()
            }
            for chooser, by in z.items()
        },
    }
    for chooser, other in (("clip", "judge"), ("judge", "clip")):
        own = best_of_n(scores[chooser], z[chooser], steps).per_prompt
        held_out = best_of_n(scores[chooser], z[other], steps).per_prompt
        report["rises"][chooser]["inflation"] = [
            interval(column).as_dict() for column in (own - held_out).T
        ]
    return report


def deviations(found: Json) -> str:
    """A rise in standard deviations with its interval."""
    return f"{found['mean']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"


def page(report: Json) -> str:
    """docs/reranking.md."""
    steps = report["n"]
    shown = [n for n in SHOWN if n in steps] or steps[-1:]
    accuracy = [
        (str(n), *(percent(report["accuracy"][name][i]) for name in SELECTORS))
        for i, n in enumerate(steps)
    ]
    share = [
        (
            str(n),
            *(percent(report["share_of_gain"][name][steps.index(n)]) for name in ("clip", "judge")),
        )
        for n in steps[1:]
    ]
    rises = [
        (
            f"{chooser}, best of {n}",
            deviations(report["rises"][chooser][chooser][steps.index(n)]),
            deviations(report["rises"][chooser][other][steps.index(n)]),
            deviations(report["rises"][chooser]["inflation"][steps.index(n)]),
            percent(report["accuracy"][chooser][steps.index(n)]),
        )
        for n in shown
        for chooser, other in (("clip", "judge"), ("judge", "clip"))
    ]
    return (TEMPLATES / "reranking.md").read_text().format(
        prompts=report["prompts"],
        candidates=report["candidates"],
        steps=report["steps"],
        guidance=report["guidance_scale"],
        accuracy=table(("n", "`clip/`", "`../judge`", "oracle"), accuracy),
        share=table(("n", "`clip/`", "`../judge`"), share),
        rises=table(
            ("chosen by", "its own score rises", "the other's score rises", "difference", "right by the oracle"),
            rises,
        ),
        auc_clip=percent(report["right_above_wrong"]["clip"]),
        auc_judge=percent(report["right_above_wrong"]["judge"]),
        hardware=report["hardware"],
        minutes=report["minutes"],
    )  # fmt: skip


def plot(report: Json, file: Path) -> None:
    """Two panels: what is right by the oracle, and how far the scores rise."""
    steps = report["n"]
    with panels(file, 1, 2, figsize=(10, 4)) as (left, right):
        for name, (label, color) in SELECTORS.items():
            draw_band(left, steps, report["accuracy"][name], label=label, color=color)
        left.set(ylabel="right by the oracle", title="the truth", ylim=(0, None))
        for name, label in (("clip", "its own score"), ("judge", "the judge's score")):
            color = SELECTORS[name][1]
            draw_band(right, steps, report["rises"]["clip"][name], label=label, color=color)
        right.set(ylabel="rise in standard deviations", title="the scores of what clip/ chose")
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_xticks(steps, [str(n) for n in steps])
            axes.set_xlabel("candidates n")
            axes.legend(frameon=False)


def main() -> None:
    """Draw, measure, write."""
    parser = page_options(__doc__, "reranking", "judge")
    parser.add_argument("--prompts", type=int, default=100, help="together, of four tasks")
    parser.add_argument("--candidates", type=int, default=64)
    args = parser.parse_args()
    if args.prompts < 2 * len(HARD) or args.candidates < 2:
        parser.error(f"needs at least {2 * len(HARD)} prompts and 2 candidates")

    def measured() -> Json:
        return measure(draw_and_score(args))

    publish(args, "reranking", measure=measured, page=page, plot=plot)


if __name__ == "__main__":
    main()
