"""What several verbs can be told alike, and what was typed as a verb's own typed values."""

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from clipcond.cli.values import count, seed

Options = TypeVar("Options")
_DTYPES = ("float32", "float16", "bfloat16")


class Parser(argparse.ArgumentParser):
    """argparse with its errors in one line."""

    def error(self, message: str) -> NoReturn:
        """Name what was wrong and where help is; exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def unpack(kind: Callable[..., Options], arguments: argparse.Namespace) -> Options:
    """What was typed, as a dataclass of these names; it goes no further as argparse has it."""
    names = inspect.signature(kind).parameters
    return kind(**{name: getattr(arguments, name) for name in names})


def add_column(command: argparse.ArgumentParser, name: str, summary: str, *older: str) -> None:
    """--NAME-column."""
    command.add_argument(
        f"--{name}-column", *older, default=name, metavar="C", help=f"{summary} (default {name})"
    )


def add_wildcards(command: argparse.ArgumentParser) -> None:
    """--wildcards, which `terminal.expanded` takes with a seed."""
    command.add_argument(
        "--wildcards",
        type=Path,
        metavar="DIR",
        help="choose among {a|b} and __file__, a line of DIR/file.txt, by --seed before the prompt is read",
    )


def add_choices(command: argparse.ArgumentParser) -> None:
    """--wildcards and --seed, of verbs that have no other use for a seed."""
    add_wildcards(command)
    command.add_argument(
        "--seed", type=seed, default=0, metavar="S", help="what --wildcards chooses by (default 0)"
    )


def add_dialect(command: argparse.ArgumentParser) -> None:
    """--dialect."""
    command.add_argument(
        "--dialect",
        default="a1111",
        metavar="D",
        help="prompt syntax: a1111, comfy, compel or plain (default a1111)",
    )


def add_weighting(command: argparse.ArgumentParser) -> None:
    """--weighting."""
    command.add_argument(
        "--weighting", default="comfy", metavar="W", help="what weights do (default comfy)"
    )


def add_long_prompt(command: argparse.ArgumentParser) -> None:
    """--long-prompt."""
    command.add_argument(
        "--long-prompt",
        default="a1111",
        metavar="P",
        help="beyond the encoder's length: a1111, comfy, sentence, truncate, error (default a1111)",
    )


def add_model(command: argparse.ArgumentParser) -> None:
    """--model."""
    command.add_argument(
        "--model",
        default="emoji",
        metavar="M",
        help="'emoji' (shipped), a diffusers folder or a hub id (default emoji)",
    )


def add_device(command: argparse._ActionsContainer) -> None:
    """--device."""
    command.add_argument(
        "--device", metavar="DEV", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)"
    )


def add_dtype(command: argparse._ActionsContainer, default: str | None, summary: str) -> None:
    """--dtype."""
    command.add_argument("--dtype", choices=_DTYPES, default=default, help=summary)


def add_scorer(command: argparse.ArgumentParser) -> None:
    """The CLIP that judges, and what `ClipScorer.from_pretrained` takes with it: a `loading.ClipRequest`."""
    group = command.add_argument_group("the CLIP that judges")
    group.add_argument(
        "--scorer",
        default="emoji",
        metavar="C",
        help="'emoji' (shipped), a CLIP folder, file or hub id (default emoji)",
    )
    add_device(group)
    add_dtype(
        group,
        "float32",
        "that its towers compute in; half is faster on a GPU and rounds scores (default float32)",
    )
    group.add_argument(
        "--batch-size", type=count, default=32, metavar="N", help="pictures at once (default 32)"
    )
    group.add_argument(
        "--crop",
        metavar="P",
        help="of pictures that are not square: center, squash, pad or multi (default: as the checkpoint asks)",
    )
    group.add_argument(
        "--quick-gelu",
        action=argparse.BooleanOptionalAction,
        help="for an OpenCLIP file that does not say which activation it was trained with",
    )
    group.add_argument(
        "--tokenizer",
        metavar="T",
        help="folder, hub id or vocabulary file, for a CLIP file that has none beside it",
    )
