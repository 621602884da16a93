"""What commands say: results on standard output, notes on standard error, and other libraries silent."""

import importlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipcond.errors import point_at
from clipcond.prompt import Prompt, expand

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_UNFOLDED = 10_000  # columns


def share_cores() -> None:
    """Let threads that wait for each other sleep; OpenMP reads this when torch is imported, so it comes first.

    Spinning, its default, burns a core that another process holds: beside two busy processes on two cores, eight
    tiny candidates took 9.2 s spinning and 0.2 s sleeping.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def hush() -> None:
    """Silence what transformers and diffusers say while loading; it would bury the one line that matters.

    They read the environment when they are imported, so this comes first.
    """
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    for name in (
        "bitsandbytes",  # this one and the next two are imported by diffusers if it can
        "torchao",
        "torch.utils._pytree",
        "textual_image",  # tells of terminals that do not answer
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def hush_loading(library: str) -> None:
    """Take away the bars of "transformers" or "diffusers" for reading files; bars for downloads stay."""
    from huggingface_hub.utils.tqdm import enable_progress_bars

    importlib.import_module(f"{library}.utils.logging").disable_progress_bar()
    enable_progress_bars()


def write_json(value: Any) -> None:
    """One JSON object, one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _console(**how: Any) -> "Console":
    """Plain unless it is a terminal or FORCE_COLOR is set; plain in any case where NO_COLOR is, bold and dim included."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    return Console(color_system=None if plain else "auto", highlight=False, emoji=False, **how)


def note(message: str) -> None:
    """A dim line on standard error."""
    _console(stderr=True, soft_wrap=True).print(message, style="dim", markup=False)


def complain(message: str, *, by: str = "clipcond") -> None:
    """An error on standard error, who says it in red."""
    from rich.text import Text

    _console(stderr=True, soft_wrap=True).print(Text.assemble((f"{by}:", "bold red"), " ", message))


def note_diagnostics(prompt: Prompt) -> None:
    """What looks like a mistake in a prompt, each with its place."""
    for diagnostic in prompt.diagnostics:
        hint = f" ({diagnostic.hint})" if diagnostic.hint else ""
        note(f"at character {diagnostic.span[0]}: {diagnostic.message}{hint}")
        note(point_at(prompt.text, diagnostic.span))


def expanded(text: str, wildcards: Path | None, seed: int) -> str:
    """The text with what it leaves open chosen, where --wildcards asks for it, and a note what was chosen."""
    if wildcards is None:
        return text
    chosen = expand(text, seed=seed, wildcards=wildcards)
    if chosen != text:
        note(f"expanded: {chosen}")
    return chosen


def write_heading(text: str) -> None:
    """A bold line on standard output."""
    _console(soft_wrap=True).print(text, style="bold", markup=False)


def write_table(columns: Sequence[str], rows: Sequence[Sequence["RenderableType"]]) -> None:
    """A table on standard output; the first column is numbers, texts are shown as they are."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i == 0 else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    # a pipe has no width: folded cells would break whatever reads the lines
    _console(width=None if sys.stdout.isatty() else _UNFOLDED).print(table)
