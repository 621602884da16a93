"""The Steps tab: a prompt that changes over the steps, and guidance in an interval of them."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from clipcond.errors import ClipcondError

from . import interval, timeline, view
from .polite import polite
from .settings import MAX_STEPS, Settings, checked, share, text, whole
from .stream import Emit, Stopped, Switches, watch
from .studio import Step, Studio
from .wiring import PRIVATE, Controls, controls, stoppable

_IN_THE_WORLD = (
    "[a fox:a pumpkin:0.5] on a cyan background",
    "[a fox:a pumpkin:0.6] on a cyan background",
    "[two cats:two foxes:0.2]",
    "a [red|blue] heart",
    "a fox on a [pink:cyan:0.1] background",
    "[a banana::0.3] AND a cat",
)
_ANYWHERE = (
    "a [fox:pumpkin:0.4] on grass",
    "a portrait of an [old|young] man",
    "[a sketch:a painting:8] of a house",
)
_HOLDER = "Both pictures come here, and what each cost."
_SEED, _INTERVAL = 5, (0.0, 0.6)


def build(studio: Studio, switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    examples = _IN_THE_WORLD if studio.shipped else _ANYWHERE
    with gr.Column():
        gr.HTML(
            '<p class="lead">What does a schedule mix? <code>[a:b:0.5]</code> says a for the first half of the steps and b '
            "for the rest; <code>[a|b]</code> takes turns. Beside its picture: each of the texts alone, from the same seed.</p>"
        )
        asked = _fields(examples[0], studio.defaults.steps)
        _mixing(studio, switches, asked)
        gr.Examples(
            [[example] for example in examples], asked[0], label="Try", api_visibility="private"
        )
        gr.HTML(
            '<h3>Guidance interval</h3><p class="lead">Guidance need not act at every step: outside the interval the '
            "unconditional half is not computed. The same prompt, steps and seed, with and without.</p>"
        )
        _interval(studio, switches, asked)


def _fields(prompt: str, steps: int) -> list[Any]:
    """Prompt, steps and seed."""
    prompt_box = gr.Textbox(prompt, label="Prompt", lines=1, max_lines=6, elem_id="steps-prompt")
    with gr.Row():
        steps_box = gr.Slider(1, MAX_STEPS, steps, step=1, label="Steps", scale=4)
        seed = gr.Number(_SEED, precision=0, label="Seed", scale=1)
    return [prompt_box, steps_box, seed]


def _mixing(studio: Studio, switches: Switches, asked: list[Any]) -> None:
    """The time line, which follows the typing, and the pictures."""
    prompt, steps, _ = asked

    def announce(prompt: str, steps: Any) -> str:
        return _line(studio, prompt, steps)

    line = gr.HTML(announce(prompt.value, steps.value), elem_id="timeline")
    go, stop = controls("Draw", "mix")
    status = gr.HTML(view.status("Ready."), elem_id="mix-status")
    shown = gr.HTML(elem_id="mixture")

    @polite
    def run(request: gr.Request, *values: Any) -> Iterator[tuple[Any, Any]]:
        yield from mixed(studio, switches, _settings(studio, values), request.session_hash)

    stoppable(
        run,
        asked,
        [status, shown],
        controls=Controls(go=go, stop=stop, status=status),
        fields=[prompt],
        switches=switches,
    )
    follow([prompt, steps], announce, line)


def _interval(studio: Studio, switches: Switches, asked: list[Any]) -> None:
    """Two ends, the steps between them, and both pictures."""
    _, steps, _ = asked

    def strip(steps: Any, start: Any, end: Any) -> str:
        return _strip(studio, steps, (start, end))

    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=280):
            start = gr.Slider(0, 1, _INTERVAL[0], step=0.05, label="Guide from")
            end = gr.Slider(0, 1, _INTERVAL[1], step=0.05, label="Guide up to")
            line = gr.HTML(strip(steps.value, *_INTERVAL), elem_id="interval-line")
            go, stop = controls("Compare", "interval-go")
            status = gr.HTML(view.status("Ready."), elem_id="interval-status")
        with gr.Column(scale=5, min_width=280):
            shown = gr.HTML(view.empty(_HOLDER), elem_id="interval")

    @polite
    def run(request: gr.Request, *values: Any) -> Iterator[tuple[Any, Any]]:
        *first, low, high = values
        within = share(low, "guide from"), share(high, "guide up to")
        yield from timed(studio, switches, _settings(studio, first), (within, request.session_hash))

    stoppable(
        run,
        [*asked, start, end],
        [status, shown],
        controls=Controls(go=go, stop=stop, status=status),
        fields=[],
        switches=switches,
    )
    follow([steps, start, end], strip, line)


def follow(fields: list[Any], look: Callable[..., str], shown: gr.HTML) -> None:
    """Show what some fields mean as they change; only the latest counts."""
    gr.on(
        [field.change for field in fields],
        look,
        fields,
        shown,
        trigger_mode="always_last",
        concurrency_id="tokens",
        concurrency_limit=4,
        queue=False,
        **PRIVATE,
    )


def _settings(studio: Studio, values: Any) -> Settings:
    prompt, steps, seed = values
    return checked(
        prompt=prompt, negative="", dialect="a1111", weighting="comfy", candidates=1,
        guidance=studio.defaults.guidance, steps=steps, seed=seed,
    )  # fmt: skip


def _line(studio: Studio, prompt: str, steps: Any) -> str:
    """The time line of what is typed, or why there is none; "" for nothing typed."""
    try:
        if not text(prompt, "prompt").strip():
            return ""
        return timeline.announced(prompt, studio.looks(whole(steps, "steps", 1, MAX_STEPS)))
    except ClipcondError as error:
        return view.trouble(str(error))


def _strip(studio: Studio, steps: Any, ends: tuple[Any, Any]) -> str:
    """The steps that the interval guides, or why there are none."""
    try:
        within = share(ends[0], "guide from"), share(ends[1], "guide up to")
        return interval.strip(within, studio.looks(whole(steps, "steps", 1, MAX_STEPS)))
    except ClipcondError as error:
        return view.trouble(str(error))


def mixed(
    studio: Studio, switches: Switches, settings: Settings, session: str
) -> Iterator[tuple[Any, Any]]:
    """(status, pictures) as the schedule and its states are drawn."""
    line = timeline.timeline(settings.prompt, studio.looks(settings.steps))

    def work(emit: Emit) -> None:
        emit(timeline.mix(studio, settings, emit))

    done = 0.0
    try:
        for event in watch(work, switches.of(session)):
            if isinstance(event, Step):
                done = event.done
                # of several batches, those under way are not the first pictures
                all_seen = len(event.previews) == 1 + len(line.texts)
                seen = timeline.unfinished(line, event.previews) if all_seen else gr.skip()
                yield view.progress(done, f"denoising, {100 * done:.0f} %"), seen
            else:
                words = f"{len(line.texts)} texts in {len(line.order)} steps, seed {settings.seed}."
                yield view.status(words), timeline.drawn(event)
    except Stopped:
        yield view.status(f"Stopped at {100 * done:.0f} %."), gr.skip()


def timed(
    studio: Studio,
    switches: Switches,
    settings: Settings,
    asked: tuple[interval.Interval, str],
) -> Iterator[tuple[Any, Any]]:
    """(status, both pictures) as they are drawn; `asked` is (interval, session)."""
    within, session = asked

    def work(emit: Emit) -> None:
        emit(interval.compare(studio, settings, within, emit))

    done = 0.0
    try:
        for event in watch(work, switches.of(session)):
            if isinstance(event, Step):
                done = event.done
                yield view.progress(done, f"drawing each twice, {100 * done:.0f} %"), gr.skip()
            else:
                yield view.status("Both from the same seed."), interval.compared(event)
    except Stopped:
        yield view.status(f"Stopped at {100 * done:.0f} %."), gr.skip()
