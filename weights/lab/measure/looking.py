"""The pointing game of `pointing.py`, as a part of the page on what acts inside a run."""

import argparse

from clipcond import emoji
from weights.lab.drawing import Studio
from weights.lab.measure import pointing
from weights.lab.reports import Json, percent

PROMPTS = 100  # of a task
TARGET = 0.9


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
    """How often the maximum of an object's map lies on it."""
    tasks = emoji.tasks(studio.preset)
    return pointing.measure(studio, [p for name in pointing.TASKS for p in tasks[name][:PROMPTS]])


def told(found: Json) -> dict[str, str]:
    """For the page."""
    hits = found["hits"]
    return {
        "hits": percent(hits),
        "pointed": str(found["objects"]),
        "pointed_prompts": str(hits["prompts"]),
        "chance": f"{100 * found['chance']:.0f} %",
        "hits_target": f"The aim was {100 * TARGET:.0f} %, which is "
        + ("met." if hits["mean"] >= TARGET else "missed."),
    }
