"""The prompt language: text in, weighted segments out. Pure Python, linear time, bounded depth, no torch."""

from clipcond.prompt.contract import Dialect
from clipcond.prompt.dialects import DIALECTS, check_dialect, parse
from clipcond.prompt.expand import expand
from clipcond.prompt.render import convert, render
from clipcond.prompt.states import distinct
from clipcond.prompt.tree import Diagnostic, Fragment, Lora, Prompt, Segment, Tag

__all__ = [
    "DIALECTS",
    "Diagnostic",
    "Dialect",
    "Fragment",
    "Lora",
    "Prompt",
    "Segment",
    "Tag",
    "check_dialect",
    "convert",
    "distinct",
    "expand",
    "parse",
    "render",
]
