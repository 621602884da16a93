"""The Attention tab: where the words of a prompt are looked at."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from . import looking, view
from .looking import Looked
from .polite import polite
from .settings import Settings, checked
from .stream import Emit, Stopped, Switches, watch
from .studio import Step, Studio
from .wiring import PRIVATE, Controls, controls, stoppable

_IN_THE_WORLD = (
    "a fox and a pumpkin on a pink background",
    "a red heart to the left of a cat",
    "three penguins",
    "[a fox:a pumpkin:0.5] and a cat",
)
_ANYWHERE = ("a red ball on grass", "an old man with a beard and a hat")


def build(studio: Studio, switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    first = studio.defaults
    examples = _IN_THE_WORLD if studio.shipped else _ANYWHERE
    with gr.Column():
        gr.HTML(
            '<p class="lead">Where does a word go? Draw, then choose a word: the bright places of the picture gave most of '
            "their attention to it, in the mean over all layers, heads and steps.</p>"
        )
        with gr.Row():
            prompt = gr.Textbox(
                examples[0], label="Prompt", lines=1, scale=5, min_width=280, elem_id="look-prompt"
            )
            seed = gr.Number(3, precision=0, label="Seed", scale=1)
        go, stop = controls("Draw", "look")
        status = gr.HTML(view.status("Ready."), elem_id="look-status")
        words = gr.Radio([], label="Word", visible=False, elem_id="words")
        shown = gr.HTML(elem_id="looked")
        gr.Examples(
            [[example] for example in examples], prompt, label="Try", api_visibility="private"
        )
    looked = gr.State(None)

    @polite
    def run(request: gr.Request, prompt: str, seed: Any) -> Iterator[tuple[Any, ...]]:
        settings = checked(
            prompt=prompt, negative="", dialect="a1111", weighting="comfy", candidates=first.candidates,
            guidance=first.guidance, steps=first.steps, seed=seed,
        )  # fmt: skip
        yield from frames(studio, switches, settings, request.session_hash)

    @polite
    def choose(looked: Looked | None, word: str) -> Any:
        return gr.skip() if looked is None else looking.seen(looked, word)

    stoppable(
        run,
        [prompt, seed],
        [status, words, shown, looked],
        controls=Controls(go=go, stop=stop, status=status),
        fields=[prompt],
        switches=switches,
    )
    words.input(choose, [looked, words], shown, trigger_mode="always_last", queue=False, **PRIVATE)


def frames(
    studio: Studio, switches: Switches, settings: Settings, session: str
) -> Iterator[tuple[Any, ...]]:
    """(status, words, pictures, what was looked at) as the drawing goes on."""

    def work(emit: Emit) -> None:
        emit(looking.look(studio, settings, emit))

    count = min(studio.batch_size, settings.candidates)
    hidden = gr.update(visible=False)
    done = 0.0
    try:
        for event in watch(work, switches.of(session)):
            if isinstance(event, Step):
                done = event.done
                previews = view.previews(event.previews, count) if event.previews else gr.skip()
                yield view.progress(done, f"denoising, {100 * done:.0f} %"), hidden, previews, None
            else:
                word = event.pointed
                choices = gr.update(choices=list(event.words), value=word, visible=True)
                yield (
                    view.status("Choose a word."),
                    choices,
                    looking.seen(event, word),
                    event,
                )
    except Stopped:
        yield view.status(f"Stopped at {100 * done:.0f} %."), hidden, gr.skip(), None
