"""`clipcond convert`: a prompt in another dialect, without loading any model."""

import sys
import warnings
from dataclasses import dataclass

from clipcond.cli.arguments import DIALECT, argument, option
from clipcond.cli.terminal import note, note_diagnostics, write_json
from clipcond.prompt import convert, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """write a prompt in another dialect"""

    text: str = argument("TEXT", "the prompt")
    dialect: str = option("D", DIALECT, default="a1111")
    to: str = option("D", "the dialect to write: one of the same", required=True)
    json: bool


def run(request: Request) -> int:
    """Print the prompt in the other dialect; what it cannot say goes to standard error."""
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
