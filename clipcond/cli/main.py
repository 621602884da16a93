"""`main`: arguments to a verb's exit code, and one clear line for whatever goes wrong.

Exit codes: 0 all done; 1 some items failed, each named; 2 nothing could be done; 130 interrupted.
"""

import argparse
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from clipcond.cli import (
    app,
    classify,
    completion,
    convert,
    encode,
    evaluate,
    generate,
    parse,
    rerank,
    score,
    search,
    tokens,
    train,
)
from clipcond.cli.arguments import Parser, add_arguments, unpack
from clipcond.cli.installed import Version
from clipcond.cli.terminal import complain, hush, share_cores
from clipcond.errors import ClipcondError

_EXITS = "exit codes: 0 all done; 1 some failed, each named; 2 nothing could be done"


# first word of verbs that have two -> what they have in common
_FAMILIES = {
    "search": "find pictures of your own by texts and pictures",
    "evaluate": "draw or take pictures, judge them by several scorers, and say which model is better",
}
# verb, of one word or two -> (what can be typed, whose docstring says what it does; the module with run(request) -> exit code, which
# is imported when chosen, since it may load torch)
_VERBS: dict[str, tuple[type[Any], str]] = {
    "generate": (generate.Request, "clipcond.cli.drawing"),
    "score": (score.Request, "clipcond.cli.scoring"),
    "rerank": (rerank.Request, "clipcond.cli.reranking"),
    "classify": (classify.Request, "clipcond.cli.classifying"),
    "parse": (parse.Request, "clipcond.cli.parse"),
    "tokens": (tokens.Request, "clipcond.cli.tokens"),
    "convert": (convert.Request, "clipcond.cli.convert"),
    "encode": (encode.Request, "clipcond.cli.encode"),
    "evaluate run": (evaluate.Run, "clipcond.cli.evaluating"),
    "evaluate pictures": (evaluate.Pictures, "clipcond.cli.evaluating"),
    "evaluate compare": (evaluate.Compare, "clipcond.cli.evaluating"),
    "evaluate retrieval": (evaluate.Retrieval, "clipcond.cli.evaluating"),
    "search index": (search.Add, "clipcond.cli.searching"),
    "search find": (search.Find, "clipcond.cli.searching"),
    "search duplicates": (search.Duplicates, "clipcond.cli.searching"),
    "search cluster": (search.Cluster, "clipcond.cli.searching"),
    "search stats": (search.Stats, "clipcond.cli.searching"),
    "search tune": (search.Tune, "clipcond.cli.searching"),
    "train": (train.Request, "clipcond.cli.training"),
    "app": (app.Request, "clipcond.cli.app"),
    "completion": (completion.Request, "clipcond.cli.completion"),
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="clipcond",
        description="Prompts to pictures with a diffusion model, and pictures to scores with CLIP.",
        epilog='try: clipcond generate "a red heart to the left of a (fox:1.3)"',
    )
    parser.add_argument("--version", action=Version, help="what is installed, and which extras")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    families: dict[str, Any] = {}
    for verb, (request, _) in _VERBS.items():
        family, _, name = verb.rpartition(" ")
        if family and family not in families:
            common = _FAMILIES[family]
            whole = commands.add_parser(family, help=common, description=_sentence(common))
            families[family] = whole.add_subparsers(dest="verb", required=True, metavar="COMMAND")
        summary = request.__doc__ or ""
        command = families.get(family, commands).add_parser(
            name, help=summary, description=_sentence(summary), epilog=_EXITS
        )
        if "json" in request.__annotations__:
            command.add_argument(
                "--json", action="store_true", help="one JSON object on standard output"
            )
        command.add_argument(
            "--debug", action="store_true", help="tracebacks and the libraries' own messages"
        )
        add_arguments(command, request)
    return parser


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; `argv` without the program's name, None for the process's own."""
    arguments = build_parser().parse_args(argv)
    share_cores()
    if not arguments.debug:
        hush()
    try:
        verb = " ".join(filter(None, [arguments.command, getattr(arguments, "verb", None)]))
        kind, work = _VERBS[verb]
        run: Callable[[Any], int] = importlib.import_module(work).run
        return run(unpack(kind, arguments))
    except KeyboardInterrupt as interrupt:
        complain(str(interrupt) or "interrupted")
        return 130
    except ClipcondError as error:
        if arguments.debug:
            raise
        complain(str(error))
    # the last resort at the process's edge: users get a line, --debug gets the traceback
    except Exception as error:
        if arguments.debug:
            raise
        reason = next(iter(str(error).splitlines()), "")
        complain(f"{type(error).__name__}: {reason} (unexpected; --debug shows where)")
    return 2
