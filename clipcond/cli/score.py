"""`clipcond score`: what can be typed; `cli.scoring` does the work."""

import argparse
from pathlib import Path

from clipcond.cli.arguments import add_column, add_scorer, unpack

SUMMARY = "say how well pictures match a prompt"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Pictures, and one prompt or a table of them."""
    command.add_argument("files", nargs="*", type=Path, metavar="FILES", help="pictures")
    prompts = command.add_mutually_exclusive_group(required=True)
    prompts.add_argument("--prompt", metavar="TEXT", help="plain text to match")
    prompts.add_argument(
        "--prompts",
        type=Path,
        metavar="TABLE",
        help="with columns file (relative to the table) and prompt: .csv, .tsv, .jsonl or .parquet; "
        "FILES picks some of them",
    )
    add_column(command, "file", "that holds the pictures' names")
    add_column(command, "prompt", "that holds the prompts")
    add_scorer(command)
    command.add_argument(
        "--variant",
        default="cosine",
        metavar="V",
        help="cosine, clipscore or torchmetrics (default cosine)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="TABLE",
        help="write a row a pair: .csv, .tsv, .jsonl or .parquet",
    )


def run(arguments: argparse.Namespace) -> int:
    """Score, report, write the table."""
    from clipcond.cli.loading import ClipRequest
    from clipcond.cli.scoring import Request, score

    return score(unpack(Request, arguments), unpack(ClipRequest, arguments))
