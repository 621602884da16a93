"""Draft and refine: all candidates for little, the best of them in full; against plain best-of-n for as many forwards.

A draft is a whole run of a few steps, or the first few steps of the full run and what the denoiser then predicts for its end.
"""

import argparse
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import stats

from clipcond import ClipScorer, emoji
from clipcond.score import best_of_n
from weights.lab.drawing import Rows, Studio, judged
from weights.lab.measure.reranking import by_prompt_z, deviations
from weights.lab.reports import Json, draw_band, interval, percent, points, table

CANDIDATES = 32
REFINED = (2, 4, 8, 16)  # candidates that are drawn in full
FEW = (4, 6)  # steps of a draft
TASKS = ("two objects", "counting")
SCREENED, PROMPTS = 1, 14  # pictures that tell which prompts leave room; prompts at most
_SCREENING_SEED = 1000  # of pictures that are not among the candidates
SCORERS = ("clip", "judge")
KINDS = {"run": "{few} steps", "look": "the first {few} of {steps} steps"}
Scores = dict[str, np.ndarray]  # [prompts, candidates]


def measure(studio: Studio, args: argparse.Namespace) -> Json:
    """What each budget of forwards is worth, drafted and plain."""
    prompts = with_room(studio)
    folders = dict(zip(SCORERS, (args.model, args.judge), strict=True))
    scorers = {name: ClipScorer.from_pretrained(folder) for name, folder in folders.items()}
    steps = studio.settings["num_inference_steps"]
    pictures, looks = drawn(studio, prompts, steps)
    full = scored(studio, prompts, pictures, scorers)
    drafts = {
        (kind, few): scored(studio, prompts, rows, scorers)
        for few in FEW
        for kind, rows in (("run", drawn(studio, prompts, few)[0]), ("look", looks[few]))
    }
    return compared(full, drafts, steps) | {"prompts": len(prompts), "candidates": CANDIDATES}


def with_room(studio: Studio) -> list[str]:
    """Held-out prompts that are not always right, by pictures of other seeds than those measured."""
    tasks = emoji.tasks(studio.preset)
    prompts = [prompt for task in TASKS for prompt in tasks[task]]
    seeds = [_SCREENING_SEED + i for i in range(SCREENED)]
    flat = studio.draw([p for p in prompts for _ in seeds], seeds * len(prompts), "screening")
    rows = [flat[i : i + SCREENED] for i in range(0, len(flat), SCREENED)]
    right = np.array(judged(prompts, rows, studio.preset), dtype=bool).mean(1)
    return [prompt for prompt, share in zip(prompts, right, strict=True) if share < 1][:PROMPTS]


def drawn(studio: Studio, prompts: list[str], steps: int) -> tuple[Rows, dict[int, Rows]]:
    """Candidates of each prompt; and what the denoiser predicted for their end after a few of the steps."""
    looks: dict[int, list[Image.Image]] = {few: [] for few in FEW if few < steps}

    def look(pipe: Any, step: int, _timestep: Any, tensors: Json) -> Json:
        if step + 1 in looks:
            predicted = pipe.scheduler.model_outputs[-1]  # this model and scheduler: the picture
            with torch.no_grad():
                decoded = pipe.vae.decode(predicted / pipe.vae.config.scaling_factor).sample
            looks[step + 1] += pipe.image_processor.postprocess(decoded)
        return tensors

    before = studio.settings
    studio.settings = {**before, "num_inference_steps": steps, "callback_on_step_end": look}
    try:
        rows = studio.table(prompts, CANDIDATES, f"{steps} steps")
    finally:
        studio.settings = before
    cut = range(0, len(prompts) * CANDIDATES, CANDIDATES)
    return rows, {few: [flat[i : i + CANDIDATES] for i in cut] for few, flat in looks.items()}


def scored(
    studio: Studio, prompts: list[str], rows: Rows, scorers: dict[str, ClipScorer]
) -> Scores:
    """Each candidate's score, and 0 or 1 by the oracle."""
    right = np.array(judged(prompts, rows, studio.preset), dtype=bool).astype(float)
    return {"oracle": right} | {
        name: np.stack(
            [scorer.score(row, p).values.numpy() for p, row in zip(prompts, rows, strict=True)]
        ).astype(float)
        for name, scorer in scorers.items()
    }


def compared(full: Scores, drafts: dict[tuple[str, int], Scores], steps: int) -> Json:
    """Drafting, beside plain best-of-n for as many forwards; the model's own CLIP chooses; intervals over prompts.

    What the choice is worth is told by the oracle, and by both CLIPs' scores in deviations within the prompt, of which the
    judge's is the independent one.
    """
    worth = {"oracle": full["oracle"]} | {name: by_prompt_z(full[name]) for name in SCORERS}
    candidates = full["oracle"].shape[1]
    sizes = list(range(1, candidates + 1))
    plain = {name: best_of_n(full["clip"], quality, sizes) for name, quality in worth.items()}
    return {
        "right": interval(full["oracle"].mean(1)),
        "plain": {name: [i.as_dict() for i in curve.intervals] for name, curve in plain.items()},
        "drafts": [
            {
                "name": KINDS[kind].format(few=few, steps=steps),
                "right": interval(draft["oracle"].mean(1)),
                "agreement": interval(agreement(draft["clip"], full["clip"])),
                "rows": [
                    {
                        "refined": count,
                        "pictures": (pictures := (candidates * few + count * steps) / steps),
                        "worth": {
                            name: beside(
                                refined(draft["clip"], full["clip"], quality, count),
                                at(plain[name].per_prompt, pictures),
                            )
                            for name, quality in worth.items()
                        },
                    }
                    for count in REFINED
                ],
            }
            for (kind, few), draft in drafts.items()
        ],
    }


def beside(drafted: np.ndarray, plain: np.ndarray) -> Json:
    """Both, and the difference."""
    return {
        "drafted": interval(drafted),
        "plain": interval(plain),
        "gain": interval(drafted - plain),
    }


def refined(draft: np.ndarray, full: np.ndarray, worth: np.ndarray, count: int) -> np.ndarray:
    """What the one that scores best in full is worth, of those that score best as drafts; for each prompt."""
    kept = np.argsort(-draft, axis=1, kind="stable")[:, :count]
    best = np.take_along_axis(full, kept, 1).argmax(1)
    chosen = kept[np.arange(len(kept)), best]
    return worth[np.arange(len(kept)), chosen]


def at(curve: np.ndarray, pictures: float) -> np.ndarray:
    """Best-of-n [prompts, n from 1] of a number of pictures that need not be whole, on the line between its neighbours."""
    n = np.arange(1, curve.shape[1] + 1)
    return np.array([np.interp(pictures, n, row) for row in curve])


def agreement(draft: np.ndarray, full: np.ndarray) -> np.ndarray:
    """How far candidates keep their order from draft to full picture: Spearman's rank correlation, for each prompt."""
    return np.array([stats.spearmanr(a, b).statistic for a, b in zip(draft, full, strict=True)])


def told(found: Json) -> dict[str, str]:
    """For the page."""
    return {
        "drafting": table(
            ("draft", "drawn in full", "costs as many forwards as", "right", "plain best of as many", "gain", "gain in its own score, in deviations", "in the judge's"),
            [
                (
                    draft["name"],
                    f"{row['refined']} of {found['candidates']}",
                    f"{row['pictures']:.1f} pictures",
                    percent(row["worth"]["oracle"]["drafted"]),
                    percent(row["worth"]["oracle"]["plain"]),
                    points(row["worth"]["oracle"]["gain"]),
                    *(deviations(row["worth"][name]["gain"]) for name in SCORERS),
                )
                for draft in found["drafts"]
                for row in draft["rows"]
            ],
        ),
        "agreements": table(
            ("draft", "right", "rank correlation of its scores with those of the full pictures"),
            [
                (d["name"], percent(d["right"]), "{mean:.2f} ({low:.2f} to {high:.2f})".format(**d["agreement"]))
                for d in found["drafts"]
            ],
        ),
        "room": percent(found["right"]),
        "drafted_prompts": str(found["prompts"]),
        "candidates": str(found["candidates"]),
    }  # fmt: skip


def plot(found: Json, axes: Any) -> None:
    """The oracle's truth against forwards: plain best-of-n as a curve with its interval, drafts as points."""
    plain = found["plain"]["oracle"]
    sizes = list(range(1, len(plain) + 1))
    draw_band(axes, sizes, plain, label="plain best of n", color="tab:gray")
    for draft in found["drafts"]:
        axes.plot(
            [row["pictures"] for row in draft["rows"]],
            [row["worth"]["oracle"]["drafted"]["mean"] for row in draft["rows"]],
            label=f"drafted: {draft['name']}",
            marker="s",
        )
    axes.set(xlabel="forwards, in full pictures", ylabel="right", title="draft and refine")
    axes.legend(frameon=False)
