"""`clipcond generate`: what can be typed; `cli.drawing` does the work."""

import argparse
from pathlib import Path

from clipcond.cli.arguments import (
    add_device,
    add_dialect,
    add_dtype,
    add_long_prompt,
    add_model,
    add_weighting,
    add_wildcards,
    unpack,
)
from clipcond.cli.values import count, finite, seed

SUMMARY = "draw candidates of a prompt, keep those that match it best"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The prompt, how many pictures of it, how they are drawn, and by what models."""
    command.add_argument("text", metavar="TEXT", help="the prompt, in the dialect's syntax")
    command.add_argument("--negative", metavar="TEXT", help="what to steer away from")
    command.add_argument(
        "--candidates", type=count, default=8, metavar="N", help="pictures to draw (default 8)"
    )
    command.add_argument(
        "--keep", type=count, metavar="K", help="best pictures to write (default: all drawn)"
    )
    command.add_argument(
        "--steps", type=count, metavar="N", help="denoising steps (default: the model's)"
    )
    command.add_argument(
        "--guidance-scale",
        type=finite,
        metavar="G",
        help="classifier-free guidance (default: the model's)",
    )
    command.add_argument(
        "--seed", type=seed, default=0, metavar="S", help="of the first candidate (default 0)"
    )
    command.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="candidates at once (default: all); pictures do not depend on it",
    )
    add_wildcards(command)
    add_model(command)
    command.add_argument(
        "--scorer",
        metavar="C",
        help="a CLIP folder, file or hub id that ranks (default: the model's own clip/, if it has one)",
    )
    add_dialect(command)
    add_weighting(command)
    add_long_prompt(command)
    command.add_argument(
        "--out",
        type=Path,
        default="pictures",
        metavar="DIR",
        help="where to write (default pictures)",
    )
    add_device(command)
    add_dtype(command, None, "(default float32 on the CPU, else float16)")


def run(arguments: argparse.Namespace) -> int:
    """Draw, rank, write, report."""
    from clipcond.cli.drawing import Request, draw

    return draw(unpack(Request, arguments))
