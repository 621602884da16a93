"""The emoji world: scenes whose truth is known, so that conditioning and scoring can be measured."""

from clipcond.emoji.render import render, render_array
from clipcond.emoji.scenes import Group, Item, Scene, sample

__all__ = ["Group", "Item", "Scene", "render", "render_array", "sample"]
