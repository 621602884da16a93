"""`main`: arguments to a verb's exit code, and one clear line for whatever goes wrong.

Exit codes: 0 all done; 1 some items failed, each named; 2 nothing could be done; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol

import clipcond
from clipcond.cli import app, classify, convert, encode, generate, parse, rerank, score, tokens
from clipcond.cli.arguments import Parser
from clipcond.cli.terminal import hush, share_cores
from clipcond.errors import ClipcondError

_EXITS = "exit codes: 0 all done; 1 some items failed, each named; 2 nothing could be done"


class Verb(Protocol):
    """A module of this package that is a sub-command; it imports nothing heavy before it runs."""

    SUMMARY: str

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        """Say what can be typed."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; the exit code."""


_VERBS: dict[str, Verb] = {
    "generate": generate,
    "score": score,
    "rerank": rerank,
    "classify": classify,
    "parse": parse,
    "tokens": tokens,
    "convert": convert,
    "encode": encode,
    "app": app,
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="clipcond",
        description="Prompts to pictures with a diffusion model, and pictures to scores with CLIP.",
        epilog='try: clipcond generate "a red heart to the left of a (fox:1.3)"',
    )
    parser.add_argument("--version", action="version", version=f"clipcond {clipcond.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, verb in _VERBS.items():
        command = commands.add_parser(
            name, help=verb.SUMMARY, description=f"{verb.SUMMARY}.", epilog=_EXITS
        )
        command.add_argument(
            "--json", action="store_true", help="one JSON object on standard output"
        )
        command.add_argument(
            "--debug", action="store_true", help="tracebacks and the libraries' own messages"
        )
        verb.add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; `argv` without the program's name, None for the process's own."""
    arguments = build_parser().parse_args(argv)
    share_cores()
    if not arguments.debug:
        hush()
    try:
        return _VERBS[arguments.command].run(arguments)
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except ClipcondError as error:
        if arguments.debug:
            raise
        _complain(str(error))
    # the last resort at the process's edge: users get a line, --debug gets the traceback
    except Exception as error:
        if arguments.debug:
            raise
        reason = next(iter(str(error).splitlines()), "")
        _complain(f"{type(error).__name__}: {reason} (unexpected; --debug shows where)")
    return 2


def _complain(message: str) -> None:
    sys.stderr.write(f"clipcond: {message}\n")
