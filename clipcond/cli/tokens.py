"""`clipcond tokens`: what each text encoder sees of a prompt, without drawing anything."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import (
    CHOSEN_BY,
    DIALECT,
    LONG_PROMPT,
    MODEL,
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
from clipcond.cli.values import seed
from clipcond.errors import ClipcondError, point_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """show what each text encoder sees of a prompt"""

    text: str = argument("TEXT", "the prompt, in the dialect's syntax")
    negative: str | None = option("TEXT", "the negative prompt")
    model: str = option("M", MODEL, default="emoji")
    dialect: str = option("D", DIALECT, default="a1111")
    long_prompt: str = option("P", LONG_PROMPT, default="a1111")
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
    report = conditioner.report(text or "", negative_prompt=negative)
    if request.html:
        _write_page(request.html, report.to_html())
    if request.json:
        write_json(report.to_json())
        return 0
    for slot, side, _, seen in report.rows():
        counts = f"{_count(seen.length, 'token')}, {_count(seen.chunks, 'window')}"
        write_heading(f"{slot}, {side}: {counts}")
        rows, last = [], -1
        for token in seen.tokens:
            # the window's number only where one begins
            number = "" if token.chunk == last else str(token.chunk + 1)
            weight = "" if token.weight == 1 else f"{token.weight:.4g}"
            rows.append([number, weight, str(token.id), token.shown])
            last = token.chunk
        write_table(["window", "weight", "id", "token"], rows)
        if seen.cut:
            note(f"{slot}, {side}: cut: {seen.cut!r}")
        for diagnostic in seen.notes:
            note(f"{diagnostic.message}\n{point_at(seen.text, diagnostic.span)}")
    return 0


def _write_page(path: Path, body: str) -> None:
    page = f'<!doctype html>\n<meta charset="utf-8">\n<title>tokens</title>\n{body}\n'
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ClipcondError(f"{path} cannot be written: {error.strerror}") from error


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
