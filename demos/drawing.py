"""The Generate tab: layout and wiring."""

import base64
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
from PIL import Image

from clipcond import emoji
from clipcond.errors import ClipcondError
from clipcond.gallery.metadata import png_info
from clipcond.prompt import DIALECTS
from clipcond.score.clauses import ClauseTable, clause_table, split_clauses
from clipcond.weighting import MODES

from . import clauses, start, view, visit
from .polite import polite
from .settings import (
    MAX_CANDIDATES,
    MAX_GUIDANCE,
    MAX_STEPS,
    Settings,
    checked,
    from_query,
    text,
)
from .starting import Start, start_of
from .stream import Stopped, Switches, watch
from .studio import Drawn, Step, Studio, draw
from .wiring import CLICKS, MODEL, PRIVATE, Controls, controls, stoppable

# the address bar holds what draws the same again, or nothing: none holds a picture to start from
_TO_ADDRESS = """address => { if (address)
  history.replaceState(null, '', address === '?' ? location.pathname : address); return address; }"""
_DRAW_IF_ASKED = """() => { if (new URLSearchParams(location.search).has('prompt'))
  setTimeout(() => document.querySelector('#draw').click(), 60); }"""
_HOLDER = "Pictures come here, best first, as CLIP sees it."
EXAMPLES = {
    "two things": ("a red heart to the left of a fox", "", "a1111", "comfy"),
    "a weight": ("a (rocket:1.5) and a (cat:0.6)", "", "a1111", "comfy"),
    "masked out": ("a banana and a (pumpkin:0)", "", "a1111", "attention_bias"),
    "steered away": ("two cats", "dog, frog", "a1111", "comfy"),
    "compel's syntax": ("a yellow star++ and a blue circle", "", "compel", "compel"),
    "a slip": ("a (fox on a pink background", "", "a1111", "comfy"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The parts of the tab that its handlers fill.

    Attributes:
        fields: setting -> its field, in the order of `Settings`.
        origin: what a drawing starts from.
        shown: status, cards and details; the drawing and its address.
        drawn: the drawing that is shown.
        address: of it, from the "?" on.
    """

    fields: dict[str, Any]
    origin: start.Parts
    shown: list[Any]
    drawn: gr.State
    address: gr.Textbox


def build(studio: Studio, switches: Switches, page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    fields, (go, stop, again), views, origin = _fields(studio)
    inputs = list(fields.values())
    drawn, address = gr.State(None), gr.Textbox(visible=False)
    with gr.Column(scale=7, min_width=280):
        status = gr.HTML(view.status("Ready."), elem_id="status")
        cards = gr.HTML(view.empty(_HOLDER), elem_id="cards", js_on_load=CLICKS)
        details = gr.HTML(elem_id="details")
        shown = [status, cards, details, drawn, address]
        parts = _Parts(fields=fields, origin=origin, shown=shown, drawn=drawn, address=address)
        remember = _visit(studio, parts)

    @polite
    def run(
        request: gr.Request, picture: Image.Image | None, strength: float, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        settings = checked(**dict(zip(fields, values, strict=True)))
        begun = start_of(picture, strength, settings.steps)
        yield from frames(studio, switches, settings, request.session_hash, begun)

    @polite
    def choose(drawn: Drawn | None, event: gr.EventData) -> tuple[Any, Any]:
        if drawn is None:
            return gr.skip(), gr.skip()
        return view.cards(drawn, event.rank), details_of(studio, drawn, event.rank)

    @polite
    def restore(request: gr.Request) -> list[Any]:
        found = from_query(request.query_params, studio.defaults) or studio.defaults
        return [*asdict(found).values(), _tokens(studio, found.prompt, found.dialect, "prompt")]

    ended = stoppable(
        run,
        [*origin.inputs, *inputs],
        shown,
        controls=Controls(go=go, stop=stop, status=status),
        fields=[fields["prompt"], fields["negative"]],
        switches=switches,
    )
    for event in ended:
        remember(event.then(None, address, address, js=_TO_ADDRESS, **PRIVATE))
    again.click(lambda: random.randrange(10**6), None, fields["seed"], queue=False, **PRIVATE)
    cards.click(choose, drawn, [cards, details], **MODEL, **PRIVATE)
    for name, seen in views.items():
        _follow(studio, fields[name], fields["dialect"], seen)
    loaded = page.load(restore, None, [*inputs, views["prompt"]], queue=False, **PRIVATE)
    loaded.then(None, js=_DRAW_IF_ASKED, **PRIVATE)


def _visit(studio: Studio, parts: _Parts) -> Callable[[Any], None]:
    """What was drawn in this visit, and how to go on from it; the function adds what an event's chain has drawn."""
    strip = gr.HTML(elem_id="visit", js_on_load=CLICKS)
    with gr.Row(elem_classes="actions"):
        again = gr.Button("Again with one thing changed", visible=False, elem_id="again", size="sm")
    history = gr.State(())
    inputs = list(parts.fields.values())

    @polite
    def add(history: visit.History, drawn: Drawn | None) -> tuple[Any, ...]:
        if drawn is None:  # it was stopped
            return gr.skip(), visit.strip(history, None), gr.update(visible=False)
        history = visit.remembered(history, drawn)
        return history, visit.strip(history, drawn), gr.update(visible=True)

    @polite
    def look(
        event: gr.EventData,
        history: visit.History,
        picture: Image.Image | None,
        strength: float,
        *values: Any,
    ) -> tuple[Any, ...]:
        drawn = visit.at(history, event.rank)
        settings = Settings(**dict(zip(parts.fields, values, strict=True)))
        begun = picture and Start(picture=picture, strength=strength)
        words = visit.told(visit.Asked.of(drawn), visit.Asked(settings, begun))
        _, *shown = finished(studio, drawn)
        return view.status(words), *shown, visit.strip(history, drawn), gr.update(visible=True)

    @polite
    def back(drawn: Drawn) -> tuple[Any, ...]:
        words = (
            f"All its settings are back, seed {drawn.settings.seed} too. Change one thing and draw."
        )
        return view.status(words), *start.brought(drawn.start), *asdict(drawn.settings).values()

    clicked = strip.click(
        look,
        [history, *parts.origin.inputs, *inputs],
        [*parts.shown, strip, again],
        **MODEL,
        **PRIVATE,
    )
    clicked.then(None, parts.address, parts.address, js=_TO_ADDRESS, **PRIVATE)
    filled = [parts.shown[0], *parts.origin.outputs, *inputs]
    again.click(back, parts.drawn, filled, queue=False, **PRIVATE)
    return lambda event: event.then(
        add, [history, parts.drawn], [history, strip, again], queue=False, **PRIVATE
    )


def _follow(studio: Studio, box: gr.Textbox, dialect: gr.Dropdown, shown: gr.HTML) -> None:
    """Redraw a token view as its box or the dialect changes; only the latest text counts."""

    def look(prompt: str, dialect: str) -> str:
        return _tokens(studio, prompt, dialect, str(box.label).lower())

    gr.on(
        [box.change, dialect.change],
        look,
        [box, dialect],
        shown,
        trigger_mode="always_last",
        concurrency_id="tokens",
        concurrency_limit=4,
        queue=False,
        **PRIVATE,
    )


def frames(
    studio: Studio,
    switches: Switches,
    settings: Settings,
    session: str,
    begun: Start | None = None,
) -> Iterator[tuple[Any, ...]]:
    """(status, cards, details, drawn, address) as a drawing goes on."""
    seen = view.previews((), settings.candidates)
    done = 0.0
    yield view.progress(0, "encoding the prompt"), seen, "", None, ""
    try:
        for event in watch(
            lambda emit: emit(draw(studio, settings, emit, begun)), switches.of(session)
        ):
            if isinstance(event, Step):
                done = event.done
                seen = (
                    view.previews(event.previews, settings.candidates)
                    if event.previews
                    else gr.skip()
                )
                yield (
                    view.progress(done, f"denoising, {100 * done:.0f} %"),
                    seen,
                    gr.skip(),
                    gr.skip(),
                    gr.skip(),
                )
            else:
                yield finished(studio, event)
    except Stopped:
        yield view.status(f"Stopped at {100 * done:.0f} %."), gr.skip(), "", None, ""


def finished(studio: Studio, drawn: Drawn) -> tuple[Any, ...]:
    """The last frame."""
    right = sum(map(bool, drawn.verdicts))
    oracle = (
        f" The oracle finds {right} of {len(drawn.verdicts)} as asked." if drawn.verdicts else ""
    )
    flattered = (
        " CLIP flatters these scores: it also conditioned the pictures."
        if drawn.generation.provenance["circular"]
        else ""
    )
    cut = (
        " The prompt is longer than CLIP reads; its end does not count in the scores."
        if drawn.generation.provenance["scored_text_truncated"]
        else ""
    )
    return (
        view.status(f"Sorted by CLIP score.{oracle}{flattered}{cut}"),
        view.cards(drawn),
        details_of(studio, drawn, 0),
        drawn,
        "?" + (drawn.settings.query() if drawn.start is None else ""),
    )


def details_of(studio: Studio, drawn: Drawn, rank: int) -> str:
    """All about one picture."""
    verdict = drawn.verdicts[rank] if drawn.verdicts else None
    told = clauses.shown(table_of(studio, drawn, rank), verdict)
    return view.details(drawn, rank, told, download(drawn, rank))


def table_of(studio: Studio, drawn: Drawn, rank: int) -> ClauseTable | None:
    """The clause table of a picture; None for a prompt without words."""
    scored = drawn.generation.provenance["scored_text"]
    if not split_clauses(scored):
        return None
    return clause_table(studio.scorer, drawn.generation.images[rank], scored, studio.null)


def png(drawn: Drawn, rank: int) -> bytes:
    """A picture as a PNG file with all its settings in it."""
    generation, buffer = drawn.generation, io.BytesIO()
    image, seed = generation.images[rank], generation.seeds[rank]
    score = generation.scores[rank].item()
    image.save(
        buffer,
        "PNG",
        pnginfo=png_info(
            generation.provenance, seed=seed, scored={"score": score}, size=image.size
        ),
    )
    return buffer.getvalue()


def download(drawn: Drawn, rank: int) -> str:
    """The same as an address that holds the file itself."""
    return "data:image/png;base64," + base64.b64encode(png(drawn, rank)).decode()


def _fields(
    studio: Studio,
) -> tuple[dict[str, Any], tuple[gr.Button, ...], dict[str, gr.HTML], start.Parts]:
    """(setting -> its field, the buttons draw, stop and new seed, field -> its token view, the picture to start from)."""
    defaults = studio.defaults
    with gr.Column(scale=5, min_width=280):
        prompt = gr.Textbox(
            defaults.prompt, label="Prompt", lines=1, max_lines=8, elem_id="prompt", autofocus=True,
            placeholder="a red heart to the left of a (fox:1.3)",
        )  # fmt: skip
        shown = gr.HTML(elem_id="tokens")
        negative = gr.Textbox(label="Negative prompt", lines=1, max_lines=4, elem_id="negative")
        shown_negative = gr.HTML(elem_id="negative-tokens")
        go, stop = controls("Draw", "draw")
        with gr.Accordion("Settings", open=False):
            with gr.Row():
                dialect = gr.Dropdown(list(DIALECTS), value=defaults.dialect, label="Prompt syntax")
                weighting = gr.Dropdown(list(MODES), value=defaults.weighting, label="Weighting")
            with gr.Row():
                candidates = gr.Slider(
                    1, MAX_CANDIDATES, defaults.candidates, step=1, label="Candidates"
                )
                steps = gr.Slider(1, MAX_STEPS, defaults.steps, step=1, label="Steps")
            with gr.Row():
                guidance = gr.Slider(0, MAX_GUIDANCE, defaults.guidance, step=0.1, label="Guidance")
                seed = gr.Number(defaults.seed, precision=0, label="Seed")
            again = gr.Button("New seed", size="sm")
        origin = start.build(studio.starting)
        gr.Examples(
            [list(row) for row in EXAMPLES.values()], [prompt, negative, dialect, weighting],
            example_labels=list(EXAMPLES), label="Try", api_visibility="private",
        )  # fmt: skip
    fields = dict(
        prompt=prompt, negative=negative, dialect=dialect, weighting=weighting,
        candidates=candidates, guidance=guidance, steps=steps, seed=seed,
    )  # fmt: skip
    views = dict(prompt=shown, negative=shown_negative)
    return fields, (go, stop, again), views, origin


def _tokens(studio: Studio, prompt: str, dialect: str, what: str) -> str:
    """What the encoder will see, or why it cannot; "" for nothing typed."""
    try:
        if not text(prompt, what).strip():
            return ""
        report = studio.read_as(dialect).report(prompt, steps=emoji.DEFAULT_STEPS)
        return view.tokens(report.prompts, what=what)
    except ClipcondError as error:
        return view.trouble(str(error))
