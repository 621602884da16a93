"""`clipcond tokens`: what each text encoder sees of a prompt, without drawing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipcond.cli.arguments import (
    CHOSEN_BY,
    DIALECT,
    LONG_PROMPT,
    MODEL,
    REGIONS,
    WILDCARDS,
    argument,
    option,
)
from clipcond.cli.terminal import (
    expanded,
    hush_loading,
    note,
    write_heading,
    write_json,
    write_table,
)
from clipcond.cli.values import count, seed
from clipcond.errors import ClipcondError, point_at, printable

if TYPE_CHECKING:
    from clipcond.conditioning import ReportedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """show what each text encoder sees of a prompt"""

    text: str = argument("TEXT", "the prompt, in the dialect's syntax")
    negative: str | None = option("TEXT", "the negative prompt")
    model: str = option("M", MODEL, default="emoji")
    dialect: str = option("D", DIALECT, default="a1111")
    long_prompt: str = option("P", LONG_PROMPT, default="a1111")
    steps: int = option("N", "denoising steps, for schedules", default=20, type=count)
    regions: Path | None = option("FILE", REGIONS, type=Path)
    normalization: str = option(
        "N", "of the weights: none, mean, length, length+mean", default="none"
    )
    html: Path | None = option("FILE", "write a page with coloured tokens as well", type=Path)
    wildcards: Path | None = option("DIR", WILDCARDS, type=Path)
    seed: int = option("S", CHOSEN_BY, default=0, type=seed)
    json: bool


def run(request: Request) -> int:
    """Print each prompt's tokens as each encoder reads them; what looks like a mistake goes to standard error."""
    from clipcond.conditioning import Conditioner
    from clipcond.hooks.region import read_regions

    text, negative = (
        part and expanded(part, request.wildcards, request.seed)
        for part in (request.text, request.negative)
    )
    hush_loading("transformers")
    conditioner = Conditioner.from_pretrained(
        request.model,
        dialect=request.dialect,
        long_prompt=request.long_prompt,
        normalization=request.normalization,
    )
    report = conditioner.report(
        text or "",
        negative_prompt=negative,
        steps=request.steps,
        regions=read_regions(request.regions) if request.regions else (),
    )
    if request.html:
        _write_page(request.html, report.to_html())
    if request.json:
        write_json(report.to_json())
        return 0
    noted: set[tuple[str, str]] = set()
    for slot, side, _, seen in report.rows():
        name = f"{slot}, {side}"
        counts = f"{_count(seen.length, 'token')}, {_count(seen.chunks, 'window')}"
        said = f"{printable(seen.said)}: " if seen.said else ""
        write_heading(f"{name}: {said}{counts}")
        _write_tokens(seen.tokens)
        if seen.cut:
            note(f"{name}: cut: {seen.cut!r}")
        found = [f"{each.message}\n{point_at(seen.text, each.span)}" for each in seen.notes]
        for line in found:
            if (name, line) not in noted:  # each state of a prompt has those of its source
                note(line)
        noted |= {(name, line) for line in found}
    return 0


def _write_tokens(tokens: "Sequence[ReportedToken]") -> None:
    rows, last = [], -1
    for token in tokens:
        # the window's number only where one begins
        number = "" if token.chunk == last else str(token.chunk + 1)
        weight = "" if token.weight == 1 else f"{token.weight:.4g}"
        rows.append([number, weight, str(token.id), token.shown])
        last = token.chunk
    write_table(["window", "weight", "id", "token"], rows)


def _write_page(path: Path, body: str) -> None:
    page = f'<!doctype html>\n<meta charset="utf-8">\n<title>tokens</title>\n{body}\n'
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ClipcondError(f"{path} cannot be written: {error.strerror}") from error


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
