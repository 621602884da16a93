"""The Evaluate tab: which of two ways of drawing is better, and how sure that is."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from clipcond.evaluation.report import write_report
from clipcond.weighting import MODES, mode_named

from . import evaluating, view
from .evaluating import LEAST, MOST, Question
from .polite import polite
from .settings import MAX_GUIDANCE, MAX_SEED, MAX_STEPS, number, text, whole
from .stream import Emit, Stopped, Switches, watch
from .studio import Step, Studio
from .uploads import lines
from .wiring import Controls, controls, stoppable

_PROMPTS = 32  # at first
_FIELDS = ("steps", "guidance_scale", "weighting", "template")
_HOLDER = "The answer comes here, with how sure it is and the pictures that differ most."


def build(studio: Studio, switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    names = list(evaluating.sets(studio))
    with gr.Column():
        gr.HTML(
            '<p class="lead">Which of two ways of drawing is better? Both draw the same prompts from the same seeds; the '
            "answer says how sure it is, and when it takes more prompts. <code>clipcond evaluate</code> does it with "
            "any number of models, prompts and judges.</p>"
        )
        with gr.Row(equal_height=False, elem_classes="sides"):
            a = _side("A", studio, studio.defaults.steps)
            b = _side("B", studio, max(1, studio.defaults.steps // 4))
        with gr.Row(equal_height=False):
            kind = gr.Dropdown(names, value=names[0], label="Prompts", scale=3, min_width=200)
            count = gr.Slider(
                LEAST, MOST, _PROMPTS, step=1, label="How many", scale=4, min_width=200
            )
            seed = gr.Number(0, precision=0, label="Seed", scale=1, min_width=100)
        with gr.Accordion("Prompts of your own", open=False):
            typed = gr.Textbox(
                "", label="One a line, in place of those above", lines=4, max_lines=12, elem_id="evaluate-prompts",
                placeholder="a fox\na cat and a car",
            )  # fmt: skip
        go, stop = controls("Compare", "evaluate")
        status = gr.HTML(view.status("Ready."), elem_id="evaluate-status")
        shown = gr.HTML(view.empty(_HOLDER), elem_id="evaluated")
        with gr.Row(elem_classes="actions"):
            report = gr.DownloadButton("Save the report", visible=False, elem_id="evaluate-report")

    @polite
    def run(request: gr.Request, *values: Any) -> Iterator[tuple[Any, Any, Any]]:
        question = asked(studio, values)
        yield from frames(studio, switches, question, request.session_hash)

    stoppable(
        run,
        [*a, *b, kind, count, seed, typed],
        [status, shown, report],
        controls=Controls(go=go, stop=stop, status=status),
        fields=[],
        switches=switches,
    )


def _side(name: str, studio: Studio, steps: int) -> list[Any]:
    """The fields of one setting."""
    with gr.Column(min_width=280, elem_classes="side"):
        gr.HTML(f"<h3>{name}</h3>")
        with gr.Row():
            looks = gr.Slider(1, MAX_STEPS, steps, step=1, label="Steps", elem_id=f"steps-{name}")
            guidance = gr.Slider(
                0, MAX_GUIDANCE, studio.defaults.guidance, step=0.1, label="Guidance"
            )
        with gr.Row():
            weighting = gr.Dropdown(list(MODES), value="comfy", label="Weighting")
            template = gr.Textbox(
                "{prompt}", label="Around each prompt", lines=1, elem_id=f"template-{name}"
            )
    return [looks, guidance, weighting, template]


def asked(studio: Studio, values: Any) -> Question:
    """What the fields ask.

    Raises:
        ClipcondError: a value that makes no sense, quoted.
    """
    *sides, kind, count, seed, typed = values
    first, second = (
        _checked(name, dict(zip(_FIELDS, part, strict=True)))
        for name, part in (("A", sides[:4]), ("B", sides[4:]))
    )
    return Question(
        settings=evaluating.two(studio, first, second),
        prompts=evaluating.prompts(
            studio, kind, whole(count, "how many", LEAST, MOST), lines(typed, "prompts")
        ),
        seed=whole(seed, "seed", 0, MAX_SEED),
    )


def _checked(side: str, values: dict[str, Any]) -> dict[str, Any]:
    mode_named(values["weighting"])
    return {
        "steps": whole(values["steps"], f"{side}: steps", 1, MAX_STEPS),
        "guidance_scale": number(values["guidance_scale"], f"{side}: guidance", 0.0, MAX_GUIDANCE),
        "weighting": values["weighting"],
        "template": text(values["template"], f"{side}: around each prompt"),
    }


def frames(
    studio: Studio, switches: Switches, question: Question, session: str
) -> Iterator[tuple[Any, Any, Any]]:
    """(status, answer, report) as the pictures are drawn."""
    count, done = 2 * len(question.prompts.prompts), 0.0
    hidden = gr.update(visible=False)
    yield view.progress(0, f"{count} pictures"), gr.skip(), hidden
    with TemporaryDirectory(prefix="clipcond-") as made:
        folder = Path(made) / "evaluation"

        def work(emit: Emit) -> None:
            emit(evaluating.evaluate(studio, question, folder, emit))

        try:
            for event in watch(work, switches.of(session)):
                if isinstance(event, Step):
                    done = event.done
                    yield (
                        view.progress(done, f"{count} pictures, {100 * done:.0f} %"),
                        gr.skip(),
                        hidden,
                    )
                else:
                    page = write_report([event], Path(made) / "evaluation.html")
                    words = f"{count} pictures of {count // 2} prompts, seed {question.seed}."
                    yield (
                        view.status(words),
                        evaluating.told(event),
                        gr.update(value=str(page), visible=True),
                    )
        except Stopped:
            yield view.status(f"Stopped at {100 * done:.0f} %."), gr.skip(), hidden
