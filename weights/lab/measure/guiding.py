"""Guidance within an interval: how often pictures are right, and what time the denoiser takes."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from clipcond import emoji, guidance
from weights.lab.drawing import Studio, judged
from weights.lab.reports import Json, interval, percent, points, table

INTERVALS = (
    (0.0, 1.0),
    (0.0, 0.5),
    (0.1, 0.6),
    (0.2, 0.8),
    (0.3, 1.0),
    (0.5, 1.0),
    (0.0, 0.0),
)
TASKS = ("single object", "two objects")
PROMPTS, SEEDS = 24, 1  # prompts of a task
TIMED, TIMED_STEPS, TIMES = 32, 10, 4  # pictures a run, steps, runs
TARGET = 0.03


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
    """Accuracy and time of each interval, the whole run the first."""
    tasks = emoji.tasks(studio.preset)
    prompts = [prompt for task in TASKS for prompt in tasks[task][:PROMPTS]]
    right = [right_within(studio, prompts, between) for between in INTERVALS]
    seconds = [run_seconds(times) for times in call_seconds(studio, prompts[:TIMED])]
    return {
        "seeds": SEEDS,
        "timed": TIMED,
        "timed_steps": TIMED_STEPS,
        "times": TIMES,
        "intervals": [
            {"interval": list(between)}
            | worth(found, right[0])
            | cost(spent, seconds[0], guided_share(between, TIMED_STEPS))
            for between, found, spent in zip(INTERVALS, right, seconds, strict=True)
        ],
    }


def right_within(studio: Studio, prompts: list[str], between: tuple[float, float]) -> np.ndarray:
    """The share of pictures that are right, for each prompt."""
    with guidance(studio.pipe, interval=between):
        rows = studio.table(prompts, SEEDS, f"guided {between}")
    return np.array(judged(prompts, rows, studio.preset), dtype=bool).mean(1)


def call_seconds(studio: Studio, prompts: list[str]) -> list[np.ndarray]:
    """CPU seconds [runs, steps] of the denoiser's calls for a picture each of the prompts, for each interval.

    The intervals take turns, so that a machine which is slower for a while is slower for all.
    """
    found: list[list[list[float]]] = [[] for _ in INTERVALS]
    before = studio.settings
    studio.settings = {**before, "num_inference_steps": TIMED_STEPS}
    try:
        for turn in range(1 + TIMES):  # the first is to warm up
            for between, runs in zip(INTERVALS, found, strict=True):
                with guidance(studio.pipe, interval=between), timed(studio.pipe.unet) as spent:
                    studio.draw(prompts, list(range(len(prompts))), f"timed {between}, {turn}")
                runs.append(spent)
    finally:
        studio.settings = before
    return [np.array(runs[1:]) for runs in found]


def run_seconds(calls: np.ndarray) -> float:
    """The time of a run, of [runs, steps]: each call's median over the runs."""
    return float(np.median(calls, axis=0).sum())


@contextmanager
def timed(module: torch.nn.Module) -> Iterator[list[float]]:
    """The CPU time of each call of a module; of this process, so that of others beside it does not count."""
    spent: list[float] = []
    starts: list[float] = []

    def before(*_: object) -> None:
        starts.append(time.process_time())

    def after(*_: object) -> None:
        spent.append(time.process_time() - starts.pop())

    hooks = module.register_forward_pre_hook(before), module.register_forward_hook(after)
    try:
        yield spent
    finally:
        for hook in hooks:
            hook.remove()


def guided_share(between: tuple[float, float], steps: int) -> float:
    """The share of the steps that are guided."""
    return sum(between[0] <= step / steps < between[1] for step in range(steps)) / steps


def worth(right: np.ndarray, full: np.ndarray) -> Json:
    """How often pictures are right, and what that is beside guidance all the time; from shares of each prompt."""
    return {"right": interval(right), "difference": interval(right - full)}


def cost(seconds: float, full: float, guided: float) -> Json:
    """The time as a share of the full one's, and how far that is off (1 + f) / 2 for the share f of guided steps."""
    share, expected = seconds / full, (1 + guided) / 2
    return {
        "guided": guided,
        "seconds": seconds,
        "share": share,
        "expected": expected,
        "miss": share / expected - 1,
    }


def told(found: Json) -> dict[str, str]:
    """For the page."""
    rows = found["intervals"]
    misses = [row["miss"] for row in rows]
    worst = max(rows, key=lambda row: abs(row["miss"]))
    return {
        "intervals": table(
            ("interval", "steps guided", "right", "beside the whole run", "time of the denoiser", "(1 + f) / 2", "off by"),
            [
                (
                    "{:g} to {:g}".format(*row["interval"]),
                    f"{100 * row['guided']:.0f} %",
                    percent(row["right"]),
                    points(row["difference"]),
                    f"{100 * row['share']:.1f} %",
                    f"{100 * row['expected']:.1f} %",
                    f"{100 * row['miss']:+.1f} %",
                )
                for row in rows
            ],
        ),
        "guided_prompts": str(rows[0]["right"]["prompts"]),
        "guided_seeds": str(found["seeds"]),
        "timed": str(found["timed"]),
        "timed_steps": str(found["timed_steps"]),
        "times": str(found["times"]),
        "within": str(sum(abs(miss) <= TARGET for miss in misses)),
        "grid": str(len(rows)),
        "worst_miss": f"{100 * worst['miss']:+.1f} % at {worst['interval'][0]:g} to {worst['interval'][1]:g}",
    }  # fmt: skip


def plot(found: Json, axes: Any) -> None:
    """For each interval how often pictures are right, as points with intervals, and the time it takes, as bars."""
    rows = found["intervals"]
    names = ["{:g}-{:g}".format(*row["interval"]) for row in rows]
    right = [row["right"] for row in rows]
    below, above = ([abs(r[end] - r["mean"]) for r in right] for end in ("low", "high"))
    axes.bar(names, [row["share"] for row in rows], color="0.85", label="time of the denoiser")
    axes.errorbar(
        names,
        [r["mean"] for r in right],
        yerr=[below, above],
        fmt="o",
        color="tab:green",
        label="right",
    )
    axes.set(xlabel="guided from-to", title="guidance within an interval", ylim=(0, 1.35))
    axes.legend(frameon=False, ncols=2, loc="upper center")
