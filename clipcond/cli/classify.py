"""`clipcond classify`: what can be typed; `cli.classifying` does the work."""

import argparse
from pathlib import Path

from clipcond.cli.arguments import add_column, add_scorer, unpack
from clipcond.cli.values import count

SUMMARY = "say which of some classes pictures show (zero-shot)"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Pictures, classes in one of three ways, and the truth where it is known."""
    command.add_argument("files", nargs="+", type=Path, metavar="FILES", help="pictures")
    classes = command.add_mutually_exclusive_group(required=True)
    classes.add_argument(
        "--classes", metavar="A,B,C", help="names; 'cat|kitty' gives one class two names"
    )
    classes.add_argument(
        "--prompts",
        type=Path,
        metavar="JSON",
        help="file with an object: each class's list of prompts",
    )
    classes.add_argument("--classifier", type=Path, metavar="FILE", help="one that --save wrote")
    command.add_argument(
        "--template",
        action="append",
        metavar="T",
        help="text around a name, with {} (default 'a photo of a {}'); may be repeated",
    )
    command.add_argument(
        "--unknown",
        type=Path,
        metavar="FILE",
        help="names of other things, one a line: answer 'unknown' where no class stands out among them",
    )
    add_scorer(command)
    command.add_argument(
        "--top", type=count, default=1, metavar="K", help="classes a picture (default 1)"
    )
    command.add_argument(
        "--save", type=Path, metavar="FILE", help="write the classifier (.safetensors)"
    )
    command.add_argument(
        "--truth",
        type=Path,
        metavar="TABLE",
        help="with columns file and class: .csv, .tsv, .jsonl or .parquet",
    )
    add_column(command, "file", "of --truth that holds the pictures' names")
    add_column(command, "class", "of --truth that holds the classes")
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="with --truth: write confusion.csv and per_class.csv",
    )


def run(arguments: argparse.Namespace) -> int:
    """Build or load the classifier, answer for each file, compare with the truth."""
    from clipcond.cli.classifying import Request, classify
    from clipcond.cli.loading import ClipRequest

    return classify(unpack(Request, arguments), unpack(ClipRequest, arguments))
