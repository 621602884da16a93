"""`clipcond tokens`: what each text encoder sees of a prompt, without drawing anything."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import (
    add_choices,
    add_dialect,
    add_long_prompt,
    add_model,
    unpack,
)
from clipcond.cli.terminal import (
    expanded,
    hush_loading,
    note,
    write_heading,
    write_json,
    write_table,
)
from clipcond.errors import ClipcondError, point_at

SUMMARY = "show what each text encoder sees of a prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed."""

    text: str
    negative: str | None
    model: str
    dialect: str
    long_prompt: str
    normalization: str
    html: Path | None
    wildcards: Path | None
    seed: int
    json: bool


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The prompt, how it is read, and a page to write."""
    command.add_argument("text", metavar="TEXT", help="the prompt, in the dialect's syntax")
    command.add_argument("--negative", metavar="TEXT", help="the negative prompt")
    add_model(command)
    add_dialect(command)
    add_long_prompt(command)
    command.add_argument(
        "--normalization",
        default="none",
        metavar="N",
        help="of the weights: none, mean, length, length+mean (default none)",
    )
    command.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with coloured tokens as well"
    )
    add_choices(command)


def run(arguments: argparse.Namespace) -> int:
    """Print each prompt's tokens as each encoder reads them; what looks like a mistake goes to standard error."""
    from clipcond.conditioning import Conditioner

    request = unpack(Request, arguments)
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
