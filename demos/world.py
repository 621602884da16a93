"""The World tab: a caption composed exactly and drawn by the model, both read back by the oracle; and the quiz."""

import random
from dataclasses import replace
from typing import Any

import gradio as gr

from clipcond import emoji
from clipcond.errors import ClipcondError

from . import worldview
from .polite import polite
from .scene import compose, read_back
from .settings import MAX_SEED, Settings, text, whole
from .stream import Switches
from .studio import Drawn, Studio, draw
from .wiring import CLICKS, MODEL, PRIVATE
from .worldview import Quiz

QUIZ_PICTURES = 8
_CAPTIONS = (
    "three small penguins on a cyan background",
    "a cat above a blue square",
    "two red hearts and a frog",
)


def build(studio: Studio, _switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    with gr.Column():
        gr.HTML(
            '<p class="lead">The little model lives in a world that is known exactly. Say what you want to see: it is '
            "composed without a model, drawn by the model, and the oracle reads both back.</p>"
        )
        with gr.Row():
            prompt = gr.Textbox(
                "a fox left of a red heart on a mint background",
                label="Scene",
                lines=1,
                scale=5,
                min_width=280,
                elem_id="scene",
            )
            seed = gr.Number(0, precision=0, label="Seed", scale=1)
        with gr.Row(elem_classes="actions"):
            go = gr.Button("Compose", variant="primary", elem_id="compose")
        shown = gr.HTML(elem_id="scenes")
        gr.Examples(
            [[caption] for caption in _CAPTIONS],
            prompt, label="Try", api_visibility="private",
        )  # fmt: skip
        gr.HTML(
            '<h3>Quiz</h3><p class="lead">Eight pictures of one prompt. Which does CLIP like best, and is it right?</p>'
        )
        with gr.Row(elem_classes="actions"):
            ask = gr.Button("Ask me", elem_id="ask")
        asked = gr.HTML(elem_id="quiz", js_on_load=CLICKS)
    game = gr.State(Quiz())

    @polite
    def run(prompt: str, seed: Any) -> str:
        return both(studio, prompt, whole(seed, "seed", 0, MAX_SEED))

    @polite
    def new(quiz: Quiz) -> tuple[str, Quiz]:
        quiz = questioned(studio, quiz, random.randrange(2**31))
        return worldview.question(quiz), quiz

    @polite
    def answer(quiz: Quiz, event: gr.EventData) -> tuple[str, Quiz]:
        quiz = quiz.answer(event.rank)
        return worldview.question(quiz), quiz

    busy: dict[str, Any] = dict(**MODEL, api_visibility="private", show_progress="minimal")
    for trigger in (go.click, prompt.submit):
        trigger(run, [prompt, seed], shown, **busy)
    ask.click(new, game, [asked, game], **busy)
    asked.click(answer, game, [asked, game], queue=False, **PRIVATE)


def both(studio: Studio, prompt: str, seed: int) -> str:
    """The exact scene and the model's drawing of the same words."""
    caption = text(prompt, "scene")
    exact = emoji.render(compose(caption, seed), 128)
    drawn = _draw(studio, caption, seed=seed, candidates=1)
    pictures = (("Composed", exact), ("Drawn by the model", drawn.generation.images[0]))
    return worldview.scenes(
        [worldview.read_back(title, image, *read_back(image, caption)) for title, image in pictures]
    )


def questioned(studio: Studio, quiz: Quiz, seed: int) -> Quiz:
    """A new question: a held-out prompt, eight pictures, shuffled."""
    chance = random.Random(seed)
    prompt = chance.choice([prompt for prompts in emoji.tasks().values() for prompt in prompts])
    drawn = _draw(studio, prompt, seed=seed, candidates=QUIZ_PICTURES)
    if not drawn.verdicts:
        raise ClipcondError(drawn.silence)
    order = tuple(chance.sample(range(QUIZ_PICTURES), QUIZ_PICTURES))
    return replace(quiz, drawn=drawn, shuffled=order, answered=None)


def _draw(studio: Studio, prompt: str, *, seed: int, candidates: int) -> Drawn:
    first = studio.defaults
    settings = Settings(
        prompt=prompt, dialect="plain", candidates=candidates, seed=seed, guidance=first.guidance, steps=first.steps
    )  # fmt: skip
    return draw(studio, settings, lambda _step: None)
