"""`clipcond completion`: a script that teaches a shell what can be typed. It is static: completing starts no Python."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcond.cli.arguments import (
    LONG_PROMPTS,
    WEIGHTINGS,
    argument,
)
from clipcond.prompt.dialects import DIALECTS

SHELLS = ("bash", "zsh", "fish", "tcsh")
# names that are refused by the library where they are wrong, not by argparse, which so does not know them
_NAMES = {
    "dialect": tuple(DIALECTS),
    "to": tuple(DIALECTS),
    "weighting": WEIGHTINGS,
    "long_prompt": LONG_PROMPTS,
    "normalization": ("none", "mean", "length", "length+mean"),
    "variant": ("cosine", "clipscore", "torchmetrics"),
}
_MODELS = ("model", "scorer", "judge", "init", "tokenizer", "data", "val")  # files, among others


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """print the script that lets a shell complete commands, options and values"""

    shell: str = argument("SHELL", f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}", choices=SHELLS)


def run(request: Request) -> int:
    """Print it."""
    import shtab

    from clipcond.cli.main import build_parser

    parser = build_parser()
    for action in _actions(parser):
        _tell(action)
    sys.stdout.write(shtab.complete(parser, request.shell) + "\n")
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What can be typed after the parser's command and after those below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse lists them nowhere else
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                yield from _actions(below)


def _tell(action: Any) -> None:
    """Give shtab what a value is completed from; this parser reads nothing."""
    import shtab

    if action.dest in _NAMES:
        action.choices = _NAMES[action.dest]
    elif action.metavar in ("DIR", "OUT"):
        action.complete = shtab.DIRECTORY
    elif action.type is Path or action.dest in _MODELS:
        action.complete = shtab.FILE
