"""How tabs are wired: the queue of the model, and a button that draws beside one that stops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from . import view
from .stream import Switches

# everything that runs the model waits in one line
MODEL: dict[str, Any] = dict(concurrency_id="model", concurrency_limit=1)
PRIVATE: dict[str, Any] = dict(api_visibility="private", show_progress="hidden")
# of a gr.HTML whose parts carry data-rank: its click event brings the rank
CLICKS = """element.addEventListener('click', event => {
  const card = event.target.closest('[data-rank]');
  if (card) trigger('click', {rank: Number(card.dataset.rank)});
});"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Where a stoppable work begins, ends, and says how it goes."""

    go: gr.Button
    stop: gr.Button
    status: gr.HTML


def controls(label: str, name: str) -> tuple[gr.Button, gr.Button]:
    """The two buttons, in a row; their ids are NAME and NAME-stop."""
    with gr.Row(elem_classes="actions"):
        go = gr.Button(label, variant="primary", elem_id=name)
        stop = gr.Button("Stop", interactive=False, elem_id=f"{name}-stop")
    return go, stop


def stoppable(
    run: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    controls: Controls,
    fields: Sequence[gr.Textbox],
    switches: Switches,
) -> list[Any]:
    """Run by the button or by Enter in one of the fields; the chains' last events, for more to follow."""

    def begin(request: gr.Request) -> tuple[Any, ...]:
        switches.arm(request.session_hash)
        waiting = view.progress(0, "waiting for the model")
        return gr.update(interactive=False), gr.update(interactive=True), waiting

    def end() -> tuple[Any, Any]:
        return gr.update(interactive=True), gr.update(interactive=False)

    def fail() -> tuple[Any, ...]:
        return *end(), view.status("Nothing came of it.")

    def halt(request: gr.Request) -> None:
        switches.stop(request.session_hash)

    # gradio tells there how many are before this one
    shows: dict[str, Any] = dict(show_progress="minimal", show_progress_on=controls.status)
    buttons = [controls.go, controls.stop]
    last = []
    for trigger in (controls.go.click, *(field.submit for field in fields)):
        began = trigger(begin, None, [*buttons, controls.status], queue=False, **PRIVATE)
        ran = began.then(run, inputs, outputs, **MODEL, **shows, api_visibility="private")
        ran.failure(fail, None, [*buttons, controls.status], queue=False, **PRIVATE)
        last.append(ran.success(end, None, buttons, queue=False, **PRIVATE))
    controls.stop.click(halt, queue=False, **PRIVATE)
    return last
