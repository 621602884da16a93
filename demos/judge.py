"""The Judge tab: uploaded pictures ranked, read clause by clause, and named, by one or two CLIPs."""

from typing import Any

import gradio as gr

from clipcond.errors import ClipcondError
from clipcond.gallery.folder import ENDINGS

from . import judging, view
from .polite import polite
from .settings import text
from .stream import Switches
from .studio import Studio
from .uploads import MAX_PICTURES, PROMPTS_FILE, lines, read_uploads
from .wiring import MODEL

TYPES = [*ENDINGS, ".zip"]


def build(studio: Studio, _switches: Switches, _page: gr.Blocks) -> None:
    """Lay the tab out and wire it."""
    several = " Two CLIPs side by side." if len(studio.scorers) > 1 else ""
    with gr.Column(scale=4, min_width=280):
        gr.HTML(
            f'<p class="lead">Your pictures, judged by CLIP.{several} At most {MAX_PICTURES}; a zip may bring its prompts in {PROMPTS_FILE}.</p>'
        )
        files = gr.File(
            label="Pictures, or a zip of them",
            file_count="multiple", file_types=TYPES, height=150, elem_id="files",
        )  # fmt: skip
        prompts = gr.Textbox(label="Prompts, one a line", lines=3, max_lines=10, elem_id="judge-prompts",
                             placeholder="a fox and a banana")  # fmt: skip
        rank = gr.Button("Rank", variant="primary", elem_id="rank")
        names = gr.Textbox(label="Class names, one a line or between commas", lines=2, max_lines=10, elem_id="classes",
                           placeholder="cat, dog, fox")  # fmt: skip
        template = gr.Textbox("a photo of a {}", label="Template", lines=1)
        classify = gr.Button("Classify", elem_id="classify")
    with gr.Column(scale=8, min_width=280):
        shown = gr.HTML(view.empty("Upload pictures; the ranking comes here."), elem_id="judged")

    @polite
    def run_rank(files: list[str] | None, prompts: str) -> str:
        return ranked(studio, files or [], prompts)

    @polite
    def run_classify(files: list[str] | None, names: str, template: str) -> str:
        found = [
            name
            for line in lines(names, "classes")
            for name in map(str.strip, line.split(","))
            if name
        ]
        upload = read_uploads(files or [])
        return judging.classes(studio.scorers, upload, found, text(template, "template"))

    common: dict[str, Any] = dict(**MODEL, api_visibility="private", show_progress="minimal")
    rank.click(run_rank, [files, prompts], shown, **common)
    classify.click(run_classify, [files, names, template], shown, **common)


def ranked(studio: Studio, files: list[str], prompts: str) -> str:
    """The ranking and the clauses for one prompt; for several, pictures by prompts."""
    upload = read_uploads(files)
    wanted = lines(prompts, "prompts") + list(upload.prompts)
    if not wanted:
        raise ClipcondError("prompts: nothing typed yet; say what the pictures should show")
    if len(wanted) > 1:
        return judging.matrix(studio.scorer, upload, wanted)
    (prompt,) = wanted
    found = judging.columns(studio.scorers, upload, prompt, studio.null)
    order = found[0].order
    return judging.ranking(upload, prompt, found) + judging.clauses(studio, upload, prompt, order)
