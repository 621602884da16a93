"""The emoji world: scenes whose truth is known, so that conditioning and scoring can be measured."""

from clipcond.emoji.captions import caption
from clipcond.emoji.grammar import expected, verdicts
from clipcond.emoji.oracle import Reading, read
from clipcond.emoji.render import render, render_array
from clipcond.emoji.requirements import Requirement, Verdict, check
from clipcond.emoji.scenes import Group, Item, Scene, sample
from clipcond.emoji.tasks import tasks

# What the shipped model was tuned for, on training prompts (weights/emoji/README.md).
DEFAULT_STEPS = 20
DEFAULT_GUIDANCE_SCALE = 3.0

__all__ = [
    "DEFAULT_GUIDANCE_SCALE",
    "DEFAULT_STEPS",
    "Group",
    "Item",
    "Reading",
    "Requirement",
    "Scene",
    "Verdict",
    "caption",
    "check",
    "expected",
    "read",
    "render",
    "render_array",
    "sample",
    "tasks",
    "verdicts",
]
