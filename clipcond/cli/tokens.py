"""`clipcond tokens`: what each text encoder sees of a prompt, without drawing anything."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from clipcond.cli.language import expanded
from clipcond.cli.models import locate
from clipcond.cli.terminal import hush_loading, note, write_json, write_table
from clipcond.conditioning import Conditioner, PromptReport
from clipcond.errors import ClipcondError, point_at


def run(arguments: argparse.Namespace) -> int:
    """Print each prompt's tokens as each encoder reads them; what looks like a mistake goes to standard error."""
    import transformers

    text = expanded(arguments.text, arguments)
    negative = arguments.negative and expanded(arguments.negative, arguments)
    hush_loading(transformers)
    conditioner = Conditioner.from_pretrained(
        locate(arguments.model),
        dialect=arguments.dialect,
        long_prompt=arguments.long_prompt,
        normalization=arguments.normalization,
    )
    report = conditioner.report(text, negative_prompt=negative)
    if arguments.html:
        _write_page(Path(arguments.html), report.to_html())
    if arguments.json:
        write_json(report.to_json())
        return 0
    for slot, side, _, seen in report.rows():
        print_heading(
            f"{slot}, {side}: {_count(seen.length, 'token')}, {_count(seen.chunks, 'window')}"
        )
        write_table(["window", "weight", "id", "token"], list(_rows(seen)))
        if seen.cut:
            note(f"{slot}, {side}: cut: {seen.cut!r}")
        for diagnostic in seen.notes:
            note(f"{diagnostic.message}\n{point_at(seen.text, diagnostic.span)}")
    return 0


def print_heading(text: str) -> None:
    """A bold line on standard output."""
    from rich.console import Console

    Console(soft_wrap=True, highlight=False).print(text, style="bold", markup=False)


def _rows(seen: PromptReport) -> Iterator[list[str]]:
    """A line a token; the window's number only where one begins."""
    last = -1
    for token in seen.tokens:
        number = str(token.chunk + 1) if token.chunk != last else ""
        last = token.chunk
        weight = "" if token.weight == 1 else f"{token.weight:.4g}"
        yield [number, weight, str(token.id), token.shown]


def _write_page(path: Path, body: str) -> None:
    page = f'<!doctype html>\n<meta charset="utf-8">\n<title>tokens</title>\n{body}\n'
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ClipcondError(f"{path} cannot be written: {error.strerror}") from error


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
