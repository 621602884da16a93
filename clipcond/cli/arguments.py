"""What can be typed: a verb's `Request` is a dataclass with a line an option, made here into argparse's and back.

A verb owns its request; here is also what several of them can be told alike.
"""

import argparse
import textwrap
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn, TypeVar, cast

from clipcond.cli.terminal import complain
from clipcond.cli.values import count

Request = TypeVar("Request")


class Help(argparse.HelpFormatter):
    """argparse's help with commands in one column, however long their names, and no word broken at its hyphen."""

    def _iter_indented_subactions(
        self, action: argparse.Action
    ) -> Generator[argparse.Action, None, None]:
        # argparse measures the column without this indentation, so that the longest name would get a line of its own
        yield from getattr(action, "_get_subactions", tuple)()

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """argparse with its errors in one line."""

    def __init__(self, **how: Any) -> None:
        super().__init__(formatter_class=Help, **how)

    def error(self, message: str) -> NoReturn:
        """Name what was wrong and where help is; exit code 2."""
        complain(f"{message} (see {self.prog} --help)", by=self.prog)
        self.exit(2)


def argument(metavar: str, summary: str, **how: Any) -> Any:
    """A field of a request that is typed without its name; `how` is for argparse."""
    return field(metadata={"names": (), "metavar": metavar, "help": _literal(summary), **how})


def option(
    metavar: str | None, summary: str, *also: str, default: object = None, **how: Any
) -> Any:
    """A field of a request that is typed as --its-name; a default is told in the help.

    Args:
        metavar: what its value is called; None for what has no value or a few.
        summary: of the help; a default is added to it, and that it is required.
        *also: other names.
        default: where it is not typed.
        **how: for argparse; one_of=True: one of all such fields has to be typed.
    """
    shown = f"{default:g}" if isinstance(default, float) else default
    # a switch that is not typed is off
    told = summary if default is None or default is False else f"{summary} (default: {shown})"
    told += " (required)" if how.get("required") else ""
    how |= {"names": also, "help": _literal(told), "default": default}
    return field(default=default, metadata=how | ({"metavar": metavar} if metavar else {}))


def _literal(text: str) -> str:
    """A text in which argparse finds nothing to fill in."""
    return text.replace("%", "%%")


def group(title: str, kind: type[Any]) -> Any:
    """A field of a request that is a request itself, under a title of the help."""
    return field(metadata={"title": title, "kind": kind})


def add_arguments(command: argparse._ActionsContainer, kind: type[Any]) -> None:
    """Give a parser what a request has to be told; fields that say nothing of it are its caller's."""
    one_of = None
    for each in fields(kind):
        how = dict(each.metadata)
        if "kind" in how:
            add_arguments(command.add_argument_group(how["title"]), how["kind"])
        elif how:
            into, also = command, how.pop("names")
            if how.pop("one_of", False):
                into = one_of = one_of or command.add_mutually_exclusive_group(required=True)
            named = "default" in how
            name = f"--{each.name.replace('_', '-')}" if named else each.name
            into.add_argument(name, *also, **how)


def unpack(kind: Callable[..., Request], arguments: argparse.Namespace) -> Request:
    """What was typed, as a request; it goes no further as argparse has it."""
    values = {
        each.name: unpack(each.metadata["kind"], arguments)
        if "kind" in each.metadata
        else getattr(arguments, each.name)
        for each in fields(cast("Any", kind))
    }
    return kind(**values)


# what several verbs can be told
DTYPES = ("float32", "float16", "bfloat16")
DEVICE = ("DEV", "cpu, cuda, cuda:1, ... (default: cuda where there is one)")
WEIGHTINGS = tuple("a1111 a1111_no_norm comfy compel comfy++ down_weight advanced_compel attention_bias none".split())  # fmt: skip
WEIGHTING = f"what weights do: {', '.join(WEIGHTINGS)}"
LONG_PROMPTS = ("a1111", "comfy", "sentence", "truncate", "error")
LONG_PROMPT = f"what becomes of a prompt beyond the encoder's length: {', '.join(LONG_PROMPTS)}"
MODEL = "'emoji' (shipped), a diffusers folder or a hub id"
DIALECT = "prompt syntax: a1111, a1111+ (with AND_PERP, AND_SALT, AND_TOPK), comfy, compel or plain"
WILDCARDS = (
    "choose among {a|b} and __file__, a line of DIR/file.txt, by --seed before the prompt is read"
)
REGIONS = 'what stands where, as JSON: [{"prompt": "a fox", "box": [0, 0, 0.5, 1]}], or "mask": "mask.png" for a box'
CHOSEN_BY = "what --wildcards chooses by"  # the seed of verbs that have no other use for one


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """A CLIP, as `ClipScorer.from_pretrained` takes it; `loading.load_scorer` does."""

    scorer: str = option("C", "'emoji' (shipped), a CLIP folder, file or hub id", default="emoji")
    device: str | None = option(*DEVICE)
    dtype: str = option(
        None,
        "that its towers compute in; half is faster on a GPU and rounds scores",
        default="float32",
        choices=DTYPES,
    )
    batch_size: int = option("N", "pictures at once", default=32, type=count)
    crop: str | None = option(
        "P",
        "of pictures that are not square: center, squash, pad or multi (default: as the checkpoint asks)",
    )
    resizing: str = option(
        None,
        "exact as Pillow, or fast: by torch, a level or two off on under 1 % of values",
        default="exact",
        choices=("exact", "fast"),
    )
    quick_gelu: bool | None = option(
        None,
        "for an OpenCLIP file that does not say which activation it was trained with",
        action=argparse.BooleanOptionalAction,
    )
    tokenizer: str | None = option(
        "T", "folder, hub id or vocabulary file, for a CLIP file that has none beside it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """Who does work in bulk, as `clipcond.bulk.find_engine` takes it."""

    engine: str = option(
        None, "local, or ray: a cluster (clipcond[ray])", default="local", choices=("local", "ray")
    )
    workers: int = option("N", "processes, or actors of the cluster", default=1, type=count)
    address: str | None = option("A", "of the Ray cluster (default: RAY_ADDRESS, or a local one)")


BULK = ("who does the work", EngineRequest)
JUDGE = ("the CLIP that judges", ClipRequest)
