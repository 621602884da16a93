"""The part of the Generate tab that takes a picture to start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from . import view
from .judge import TYPES
from .polite import polite
from .starting import LEAST, USUAL, Start, fitted
from .wiring import PRIVATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What holds the picture and shows it.

    Attributes:
        picture: of the model's size, or None.
        strength: how much of it is drawn anew.
        shown: the picture, and the button that takes it away.
    """

    picture: gr.State
    strength: gr.Slider
    shown: list[Any]

    @property
    def inputs(self) -> list[Any]:
        """What a drawing is told."""
        return [self.picture, self.strength]

    @property
    def outputs(self) -> list[Any]:
        """What `brought` fills."""
        return [self.picture, self.strength, *self.shown]


def build(pipe: Any) -> Parts:
    """Lay it out and wire it; out of sight where no pipeline starts from a picture."""
    with gr.Accordion("Start from a picture", open=False, visible=pipe is not None):
        file = gr.File(
            label="Its middle square is taken", file_count="single", file_types=TYPES[:-1],
            height=150, elem_id="start-file",
        )  # fmt: skip
        shown = gr.HTML(elem_id="start")
        without = gr.Button("Draw without it", size="sm", visible=False, elem_id="start-without")
        strength = gr.Slider(
            LEAST, 1, USUAL, step=0.05, label="Strength", info="how much of it is drawn anew"
        )
    parts = Parts(picture=gr.State(None), strength=strength, shown=[shown, without])

    @polite
    def read(path: str) -> Sequence[Any]:
        return None, *_held(fitted([path], pipe))

    held = [file, parts.picture, *parts.shown]
    file.upload(read, file, held, queue=False, **PRIVATE)
    for event in (file.clear, without.click):
        event(lambda: (None, *_held(None)), None, held, queue=False, **PRIVATE)
    return parts


def brought(start: Start | None) -> tuple[Any, ...]:
    """What a drawing started from, for `Parts.outputs`."""
    if start is None:
        picture, *shown = _held(None)
        return picture, gr.skip(), *shown
    picture, *shown = _held(start.picture)
    return picture, start.strength, *shown


def _held(picture: Image.Image | None) -> tuple[Any, ...]:
    """The picture, and how it is shown."""
    html = "" if picture is None else f'<div class="start">{view.picture(picture, "start")}</div>'
    return picture, html, gr.update(visible=picture is not None)
