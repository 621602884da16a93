"""The Search tab: pictures of an upload, found by words, by a picture among them, and by both."""

from typing import Any

import gradio as gr

from . import searching, view
from .judge import TYPES
from .polite import polite
from .searching import Searched
from .settings import text
from .stream import Switches
from .studio import Studio
from .uploads import MAX_SEARCHED
from .wiring import CLICKS, MODEL, PRIVATE

_HOLDER = "Upload pictures and say what you look for; the nearest come here."


def build(studio: Studio, _switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    with gr.Column(scale=4, min_width=280):
        gr.HTML(
            f'<p class="lead">Find pictures by what they show. At most {MAX_SEARCHED}, and nothing is kept; '
            "<code>clipcond search</code> does it with folders of any size.</p>"
        )
        files = gr.File(
            label="Pictures, or a zip of them",
            file_count="multiple", file_types=TYPES, height=150, elem_id="search-files",
        )  # fmt: skip
        query = gr.Textbox(
            label="Looking for", lines=1, elem_id="query", placeholder="a fox + snow - a car",
            info="texts and names of the pictures, with signs and weights: 2*a dog + 3.png - snow",
        )  # fmt: skip
        go = gr.Button("Search", variant="primary", elem_id="search")
    with gr.Column(scale=8, min_width=280):
        status = gr.HTML(view.status("Ready."), elem_id="search-status")
        shown = gr.HTML(view.empty(_HOLDER), elem_id="searched", js_on_load=CLICKS)
    searched = gr.State(None)

    @polite
    def run(files: list[str] | None, query: str, before: Searched | None) -> tuple[Any, ...]:
        found = searching.search(studio.scorer, files or [], text(query, "query"), before)
        return view.status(searching.told(found)), searching.cards(found), found

    @polite
    def more(before: Searched | None, event: gr.EventData) -> tuple[Any, ...]:
        if before is None:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        name = searching.name_at(before, event.rank)
        found = searching.again(studio.scorer, before, name)
        return name, view.status(searching.told(found)), searching.cards(found), found

    common: dict[str, Any] = dict(**MODEL, api_visibility="private", show_progress="minimal")
    for trigger in (go.click, query.submit):
        trigger(run, [files, query, searched], [status, shown, searched], **common)
    shown.click(more, searched, [query, status, shown, searched], **MODEL, **PRIVATE)
