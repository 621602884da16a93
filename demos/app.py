"""The app: a page of tabs over one studio, and the server that shows it. Nothing is asked of any other host."""

import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

# read when gradio is imported: no telemetry, no look for a newer version
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr

from . import api, attention, drawing, evaluate, judge, search, steps, weighing, world
from .stream import Switches
from .studio import Studio
from .theme import CSS, theme
from .uploads import MAX_FILE

WAITING = 24  # requests that may wait; one more is told to come back
_FORGET = 3600  # seconds that uploads are kept
_SESSIONS = 200  # whose pictures are kept in memory

Build = Callable[[Studio, Switches, gr.Blocks], None]
# name -> what lays it out; a new tab is a module and a line here
TABS: dict[str, Build] = {
    "Generate": drawing.build,
    "Weights": weighing.build,
    "Steps": steps.build,
    "Attention": attention.build,
    "Judge": judge.build,
    "Evaluate": evaluate.build,
    "Search": search.build,
    "World": world.build,
}
_OF_THE_WORLD = ("World",)


def page(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    switches = Switches()
    with gr.Blocks(
        title="clipcond", analytics_enabled=False, delete_cache=(_FORGET, _FORGET)
    ) as blocks:
        gr.HTML(
            '<header class="masthead"><h1>clipcond</h1><p>Prompts with weights, and what CLIP makes of the pictures</p>'
            f'<p class="model">{escape(Path(studio.model).name)}</p></header>'
        )
        for name, build in TABS.items():
            if studio.shipped or name not in _OF_THE_WORLD:
                with gr.Tab(name, id=name.lower()), gr.Row(equal_height=False):
                    build(studio, switches, blocks)
        api.build(studio)

        def leave(request: gr.Request) -> None:
            switches.forget(request.session_hash)

        blocks.unload(leave)
    return blocks.queue(max_size=WAITING, default_concurrency_limit=1)


def serve(
    studio: Studio,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | None = None,
    block: bool = True,
) -> tuple[gr.Blocks, str]:
    """Start the server; returns the page and its address, once it ends or, without `block`, at once."""
    blocks = page(studio)
    options: dict[str, Any] = dict(
        server_name=host, server_port=port, auth=auth, share=False, quiet=True, show_error=False,
        footer_links=[], allowed_paths=[], max_file_size=MAX_FILE, state_session_capacity=_SESSIONS,
        enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False, theme=theme(), css=CSS,
        prevent_thread_lock=True,
    )  # fmt: skip
    _, address, _ = blocks.launch(**options)
    if block:
        print(f"clipcond is at {address} (Ctrl-C ends it)", flush=True)
        blocks.block_thread()
    return blocks, address
