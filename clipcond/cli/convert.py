"""`clipcond convert`: a prompt in another dialect, without loading any model."""

import argparse
import sys
import warnings
from dataclasses import dataclass

from clipcond.cli.arguments import add_dialect, unpack
from clipcond.cli.terminal import note, note_diagnostics, write_json
from clipcond.prompt import convert, parse

SUMMARY = "write a prompt in another dialect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed."""

    text: str
    dialect: str
    to: str
    json: bool


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The prompt and both dialects."""
    command.add_argument("text", metavar="TEXT", help="the prompt")
    add_dialect(command)
    command.add_argument("--to", required=True, metavar="D", help="the dialect to write")


def run(arguments: argparse.Namespace) -> int:
    """Print the prompt in the other dialect; what it cannot say goes to standard error."""
    request = unpack(Request, arguments)
    note_diagnostics(parse(request.text, dialect=request.dialect))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = convert(request.text, request.dialect, request.to)
    losses = [str(warning.message) for warning in caught]
    for loss in losses:
        note(loss)
    if request.json:
        write_json({"text": text, "losses": losses})
    else:
        sys.stdout.write(f"{text}\n")
    return 0
