"""The Weights tab: one word at several weights, in several modes."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from clipcond.weighting import MODES

from . import view
from .polite import polite
from .settings import Settings, checked
from .stream import Emit, Stopped, Switches, watch
from .studio import Step, Studio
from .sweep import WEIGHTS, Row, grid, sweep, unfinished
from .wiring import Controls, controls, stoppable

_MODES = ("comfy", "a1111", "attention_bias")
# prompts, each with one of its words
_IN_THE_WORLD = (
    ("a fox and a banana", "fox"),
    ("a red heart to the left of a cat", "red"),
    ("three penguins", "three"),
)
_ANYWHERE = (("a red ball on grass", "ball"), ("an old man with a beard", "beard"))


def build(studio: Studio, switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    first = studio.defaults
    examples = _IN_THE_WORLD if studio.shipped else _ANYWHERE
    with gr.Column():
        gr.HTML(
            '<p class="lead">What does a weight do? One seed, one word, seven weights across and a weighting mode a row. '
            "The curves are CLIP's score of the word alone.</p>"
        )
        prompt, word, modes, seed = _fields(*examples[0])
        go, stop = controls("Compare", "compare")
        status = gr.HTML(view.status("Ready."), elem_id="sweep-status")
        shown = gr.HTML(elem_id="sweep")
        gr.Examples(
            [list(row) for row in examples],
            [prompt, word],
            example_labels=[f"{word} in “{prompt}”" for prompt, word in examples],
            label="Try",
            api_visibility="private",
        )

    @polite
    def run(
        request: gr.Request, prompt: str, word: str, modes: list[str], seed: Any
    ) -> Iterator[tuple[Any, Any]]:
        settings = checked(
            prompt=prompt, negative="", dialect="a1111", weighting="none", candidates=1,
            guidance=first.guidance, steps=first.steps, seed=seed,
        )  # fmt: skip
        yield from frames(studio, switches, settings, (word, modes, request.session_hash))

    stoppable(
        run,
        [prompt, word, modes, seed],
        [status, shown],
        controls=Controls(go=go, stop=stop, status=status),
        fields=[prompt, word],
        switches=switches,
    )


def _fields(prompt: str, word: str) -> tuple[Any, ...]:
    """Prompt, word, modes and seed."""
    with gr.Row():
        prompt_box = gr.Textbox(
            prompt, label="Prompt", lines=1, scale=4, min_width=280, elem_id="sweep-prompt"
        )
        word_box = gr.Textbox(
            word,
            label="Word",
            lines=1,
            scale=1,
            elem_id="sweep-word",
        )
    with gr.Row():
        modes = gr.Dropdown(
            list(MODES),
            value=list(_MODES),
            multiselect=True,
            max_choices=4,
            label="Modes",
            scale=4,
            min_width=280,
        )
        seed = gr.Number(3, precision=0, label="Seed", scale=1)
    return prompt_box, word_box, modes, seed


def frames(
    studio: Studio, switches: Switches, settings: Settings, asked: tuple[str, list[str], str]
) -> Iterator[tuple[Any, Any]]:
    """(status, grid) as the rows are drawn; `asked` is (word, modes, session)."""
    word, modes, session = asked
    rows: list[Row] = []
    done = 0.0

    def work(emit: Emit) -> None:
        rows.extend(sweep(studio, settings, word, modes=modes, emit=emit))

    try:
        for step in watch(work, switches.of(session)):
            if isinstance(step, Step):
                done = step.done
                mode = modes[min(len(rows), len(modes) - 1)]
                table = unfinished(rows, step, mode) if step.previews else gr.skip()
                yield view.progress(done, f"{mode}, {100 * done:.0f} % of all"), table
    except Stopped:
        yield view.status(f"Stopped at {100 * done:.0f} %."), grid(rows, word) if rows else ""
        return
    words = f"{len(rows)} modes x {len(WEIGHTS)} weights, seed {settings.seed}."
    yield view.status(words), grid(rows, word)
