"""`clipcond rerank`: what can be typed; `cli.reranking` does the work."""

import argparse
from pathlib import Path

from clipcond.cli.arguments import add_scorer, unpack
from clipcond.cli.values import count, finite, share

SUMMARY = "sort a folder's pictures by how well they match a prompt"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder, the prompt, and which of the pictures to show."""
    command.add_argument("folder", type=Path, metavar="DIR", help="holds the pictures")
    command.add_argument("--prompt", required=True, metavar="TEXT", help="plain text to match")
    add_scorer(command)
    command.add_argument("--top", type=count, metavar="K", help="how many to show (default all)")
    command.add_argument(
        "--minimum", type=finite, metavar="S", help="leave out pictures that score less"
    )
    command.add_argument(
        "--diversity",
        type=share,
        default=0.0,
        metavar="D",
        help="0 to 1: the more, the less alike the pictures shown (default 0)",
    )
    command.add_argument(
        "--judge", metavar="C", help="another CLIP that has no say, to check the choice with"
    )
    command.add_argument(
        "--move", type=Path, metavar="OUT", help="move the pictures shown to this folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Look for pictures, rank their files, move, report."""
    from clipcond.cli.loading import ClipRequest
    from clipcond.cli.reranking import Request, sort_folder

    return sort_folder(unpack(Request, arguments), unpack(ClipRequest, arguments))
