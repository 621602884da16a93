"""What commands say: results on standard output, notes on standard error, and other libraries silent."""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any


def hush() -> None:
    """Silence what transformers and diffusers say while loading; it would bury the one line that matters.

    They read the environment when they are imported, so this comes first.
    """
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")


def write_json(value: Any) -> None:
    """One JSON object, one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def note(message: str) -> None:
    """A dim line on standard error."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(message, style="dim", markup=False, highlight=False)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; the first column is numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i == 0 else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
