"""Draft and refine: all candidates in few steps, the best of them in full; against plain best-of-n for as many forwards."""

import argparse

import numpy as np
from scipy import stats

from clipcond import ClipScorer, emoji
from clipcond.score import best_of_n
from weights.lab.drawing import Studio, judged
from weights.lab.measure.reranking import by_prompt_z
from weights.lab.reports import Json, interval

CANDIDATES = 32
DRAFTS = (2, 4, 8, 16)  # of which are drawn in full
DRAFT_STEPS = (4, 6)
TASKS = ("two objects", "counting")
SCREENED, PROMPTS = 4, 24  # pictures that tell which prompts leave room; prompts at most
_SCREENING_SEED = 1000  # of pictures that are not among the candidates
SCORERS = ("clip", "judge")
Scores = dict[str, np.ndarray]  # [prompts, candidates]


def measure(studio: Studio, args: argparse.Namespace) -> Json:
    """What each budget of forwards is worth, drafted and plain."""
    prompts = with_room(studio)
    folders = dict(zip(SCORERS, (args.model, args.judge), strict=True))
    scorers = {name: ClipScorer.from_pretrained(folder) for name, folder in folders.items()}
    steps = studio.settings["num_inference_steps"]
    drawn = {count: scored(studio, prompts, count, scorers) for count in (*DRAFT_STEPS, steps)}
    return compared(drawn, steps) | {"prompts": len(prompts), "candidates": CANDIDATES}


def with_room(studio: Studio) -> list[str]:
    """Held-out prompts that are not always right, by pictures of other seeds than those measured."""
    tasks = emoji.tasks(studio.preset)
    prompts = [prompt for task in TASKS for prompt in tasks[task]]
    seeds = [_SCREENING_SEED + i for i in range(SCREENED)]
    flat = studio.draw([p for p in prompts for _ in seeds], seeds * len(prompts), "screening")
    rows = [flat[i : i + SCREENED] for i in range(0, len(flat), SCREENED)]
    right = np.array(judged(prompts, rows, studio.preset), dtype=bool).mean(1)
    return [prompt for prompt, share in zip(prompts, right, strict=True) if share < 1][:PROMPTS]


def scored(studio: Studio, prompts: list[str], steps: int, scorers: dict[str, ClipScorer]) -> Scores:
    """Every candidate's scores, in so many steps, and 0 or 1 by the oracle."""
    before = studio.settings
    studio.settings = {**before, "num_inference_steps": steps}
    try:
        rows = studio.table(prompts, CANDIDATES, f"{steps} steps")
    finally:
        studio.settings = before
    right = np.array(judged(prompts, rows, studio.preset), dtype=bool).astype(float)
    return {"oracle": right} | {
        name: np.stack(
            [scorer.score(row, p).values.numpy() for p, row in zip(prompts, rows, strict=True)]
        ).astype(float)
        for name, scorer in scorers.items()
    }


def compared(drawn: dict[int, Scores], steps: int) -> Json:
    """Drafting, beside plain best-of-n for as many forwards; the model's own CLIP chooses; intervals over prompts.

    What the choice is worth is told by the oracle, and by both CLIPs' scores in deviations within the prompt, of which the
    judge's is the independent one.
    """
    full = drawn[steps]
    worth = {"oracle": full["oracle"]} | {name: by_prompt_z(full[name]) for name in SCORERS}
    candidates = full["oracle"].shape[1]
    sizes = list(range(1, candidates + 1))
    plain = {name: best_of_n(full["clip"], quality, sizes) for name, quality in worth.items()}
    drafted = {few: scores for few, scores in drawn.items() if few != steps}
    return {
        "right": interval(full["oracle"].mean(1)),
        "plain": {name: [i.as_dict() for i in curve.intervals] for name, curve in plain.items()},
        "drafts": {
            str(few): {
                "right": interval(scores["oracle"].mean(1)),
                "agreement": interval(agreement(scores["clip"], full["clip"])),
            }
            for few, scores in drafted.items()
        },
        "rows": [
            {
                "draft_steps": few,
                "drafts": drafts,
                "pictures": (pictures := (candidates * few + drafts * steps) / steps),
                "worth": {
                    name: beside(
                        refined(scores["clip"], full["clip"], quality, drafts),
                        at(plain[name].per_prompt, pictures),
                    )
                    for name, quality in worth.items()
                },
            }
            for few, scores in drafted.items()
            for drafts in DRAFTS
        ],
    }


def beside(drafted: np.ndarray, plain: np.ndarray) -> Json:
    """Both, and the difference."""
    return {
        "drafted": interval(drafted),
        "plain": interval(plain),
        "gain": interval(drafted - plain),
    }


def refined(draft: np.ndarray, full: np.ndarray, worth: np.ndarray, drafts: int) -> np.ndarray:
    """What the one that scores best in full is worth, of those that score best as drafts; for each prompt."""
    kept = np.argsort(-draft, axis=1, kind="stable")[:, :drafts]
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
