"""A prompt clause by clause: bars of how far each stands out in a picture, and what is missing in words."""

from collections.abc import Sequence
from html import escape

from PIL import Image

from clipcond import emoji
from clipcond.errors import ClipcondError
from clipcond.score.clauses import ClauseScore, ClauseTable

from .view import bar, silence

_FULL = 6.0  # z that fills a bar


def shown(table: ClauseTable | None, verdict: emoji.Verdict | None) -> str:
    """How far each clause stands out, in standard deviations above other prompts' clauses, and what is missing.

    Args:
        table: None for a prompt without words.
        verdict: the oracle's on the picture, where it has one.
    """
    if table is None:
        return silence("the prompt has no words to look for")
    rows = "".join(_row(row, _words(row, table.rows, verdict)) for row in table.rows)
    return f'<table class="clauses">{rows}</table>'


def _row(row: ClauseScore, words: str) -> str:
    cut = " <i class=cut>cut</i>" if row.truncated else ""
    said = f'<span class="lack">{escape(words)}</span>' if words else ""
    return (
        f'<tr class="{"bad" if row.missing else ""}"><th>{escape(row.clause.text)}{cut}{said}</th>'
        f"<td>{meter(row)}</td></tr>"
    )


def meter(row: ClauseScore) -> str:
    """A clause's bar."""
    return bar(row.z / _FULL, f"{row.z:+.1f} σ")


def _words(row: ClauseScore, rows: Sequence[ClauseScore], verdict: emoji.Verdict | None) -> str:
    """What the oracle finds lacking of a clause; where it cannot tell, what CLIP does."""
    found = None if verdict is None else lacking(row.clause.text, verdict.reading)
    if found is None:
        return weakness(row, rows)
    there = "found, though CLIP hardly sees it" if row.missing else ""
    return ", ".join(found) or there


def lacking(text: str, reading: emoji.Reading) -> tuple[str, ...] | None:
    """What a picture lacks of a clause, in words; None for one that is not of the emoji world."""
    try:
        wishes = emoji.expected(text)
    except ClipcondError:
        return None
    *asked, _ = wishes  # that nothing else is there is not for a part of a prompt to say
    return tuple(wish.lack(reading) for wish in asked if not wish.holds(reading))


def weakness(row: ClauseScore, rows: Sequence[ClauseScore]) -> str:
    """What CLIP's numbers say of a clause among others; "" where nothing is to be said."""
    if row.missing:
        return "hardly stands out"
    return "the weakest" if len(rows) > 1 and row is min(rows, key=lambda each: each.z) else ""


def summary(table: ClauseTable, reading: emoji.Reading | None) -> str:
    """What a picture lacks of all clauses in words: as the oracle reads it, or which one CLIP finds weakest."""
    if reading is not None:
        found = [lacking(row.clause.text, reading) for row in table.rows]
        if None not in found:
            return ", ".join(words for each in found for words in each or ()) or "all found"
    weakest = min(table.rows, key=lambda row: row.z)
    said = f"weakest: “{weakest.clause.text}”" if len(table.rows) > 1 else "stands out"
    hardly = f"{said}, which hardly stands out" if len(table.rows) > 1 else "hardly stands out"
    return hardly if weakest.missing else said


def read(image: Image.Image) -> emoji.Reading | None:
    """What the oracle reads in a picture; None where it is plainly none of the emoji world."""
    try:
        reading = emoji.read(image)
    except ClipcondError:  # not square, or too small
        return None
    return reading if reading.items and reading.clean else None
