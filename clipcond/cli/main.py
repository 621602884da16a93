"""`main`: arguments to a command's exit code, and one clear line for whatever goes wrong.

Exit codes: 0 all done; 1 some items failed, each named; 2 nothing could be done; 130 interrupted.
"""

import importlib
import sys
from collections.abc import Sequence

from clipcond.cli.arguments import build_parser
from clipcond.cli.terminal import hush, share_cores
from clipcond.errors import ClipcondError

# verb -> module with run(arguments) -> exit code, imported when chosen
_COMMANDS = {
    "app": "clipcond.cli.app",
    "classify": "clipcond.cli.classify",
    "convert": "clipcond.cli.language",
    "encode": "clipcond.cli.encode",
    "generate": "clipcond.cli.generate",
    "parse": "clipcond.cli.language",
    "rerank": "clipcond.cli.rerank",
    "score": "clipcond.cli.score",
    "tokens": "clipcond.cli.tokens",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name, None for the process's own."""
    arguments = build_parser().parse_args(argv)
    share_cores()
    if not arguments.debug:
        hush()
    try:
        return importlib.import_module(_COMMANDS[arguments.command]).run(arguments)
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
