"""What can be typed, and which values are refused before anything is loaded."""

import argparse
from typing import NoReturn

import clipcond
from clipcond.cli.values import count, finite, seed, share

_EXITS = "exit codes: 0 all done; 1 some items failed, each named; 2 nothing could be done"


class _Parser(argparse.ArgumentParser):
    """argparse with its errors in one line."""

    def error(self, message: str) -> NoReturn:
        """Name what was wrong and where help is; exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="clipcond",
        description="Prompts to pictures with a diffusion model, and pictures to scores with CLIP.",
        epilog='try: clipcond generate "a red heart to the left of a (fox:1.3)"',
    )
    parser.add_argument("--version", action="version", version=f"clipcond {clipcond.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_generate(commands)
    _add_score(commands)
    _add_rerank(commands)
    _add_classify(commands)
    _add_parse(commands)
    _add_tokens(commands)
    _add_convert(commands)
    _add_encode(commands)
    _add_app(commands)
    return parser


def _add_generate(commands: argparse._SubParsersAction) -> None:
    command = _add(
        commands, "generate", "draw candidates of a prompt, keep those that match it best"
    )
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
    _add_wildcards(command)
    _add_models(command)


def _add_score(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "score", "say how well pictures match a prompt")
    command.add_argument("files", nargs="*", metavar="FILES", help="pictures")
    prompts = command.add_mutually_exclusive_group(required=True)
    prompts.add_argument("--prompt", metavar="TEXT", help="plain text to match")
    prompts.add_argument(
        "--prompts",
        metavar="TABLE",
        help="with columns file (relative to the table) and prompt: .csv, .tsv, .jsonl or .parquet; "
        "FILES picks some of them",
    )
    _add_column(command, "file", "that holds the pictures' names")
    _add_column(command, "prompt", "that holds the prompts")
    _add_scorer(command)
    command.add_argument(
        "--variant",
        default="cosine",
        metavar="V",
        help="cosine, clipscore or torchmetrics (default cosine)",
    )
    command.add_argument(
        "--out", metavar="TABLE", help="write a row a pair: .csv, .tsv, .jsonl or .parquet"
    )


def _add_rerank(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "rerank", "sort a folder's pictures by how well they match a prompt")
    command.add_argument("folder", metavar="DIR", help="holds the pictures")
    command.add_argument("--prompt", required=True, metavar="TEXT", help="plain text to match")
    _add_scorer(command)
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
    command.add_argument("--move", metavar="OUT", help="move the pictures shown to this folder")


def _add_classify(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "classify", "say which of some classes pictures show (zero-shot)")
    command.add_argument("files", nargs="+", metavar="FILES", help="pictures")
    classes = command.add_mutually_exclusive_group(required=True)
    classes.add_argument(
        "--classes", metavar="A,B,C", help="names; 'cat|kitty' gives one class two names"
    )
    classes.add_argument(
        "--prompts", metavar="JSON", help="file with an object: each class's list of prompts"
    )
    classes.add_argument("--classifier", metavar="FILE", help="one that --save wrote")
    command.add_argument(
        "--template",
        action="append",
        metavar="T",
        help="text around a name, with {} (default 'a photo of a {}'); may be repeated",
    )
    command.add_argument(
        "--unknown",
        metavar="FILE",
        help="names of other things, one a line: answer 'unknown' where no class stands out among them",
    )
    _add_scorer(command)
    command.add_argument(
        "--top", type=count, default=1, metavar="K", help="classes a picture (default 1)"
    )
    command.add_argument("--save", metavar="FILE", help="write the classifier (.safetensors)")
    command.add_argument(
        "--truth",
        metavar="TABLE",
        help="with columns file and class: .csv, .tsv, .jsonl or .parquet",
    )
    _add_column(command, "file", "of --truth that holds the pictures' names")
    _add_column(command, "class", "of --truth that holds the classes")
    command.add_argument(
        "--out", metavar="DIR", help="with --truth: write confusion.csv and per_class.csv"
    )


def _add_parse(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "parse", "show how a prompt is read")
    command.add_argument("text", metavar="TEXT", help="the prompt")
    _add_dialect(command)
    command.add_argument(
        "--steps", type=count, default=20, metavar="N", help="denoising steps (default 20)"
    )
    _add_choices(command)


def _add_tokens(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "tokens", "show what each text encoder sees of a prompt")
    command.add_argument("text", metavar="TEXT", help="the prompt, in the dialect's syntax")
    command.add_argument("--negative", metavar="TEXT", help="the negative prompt")
    _add_model(command)
    _add_dialect(command)
    _add_long_prompt(command)
    command.add_argument(
        "--normalization",
        default="none",
        metavar="N",
        help="of the weights: none, mean, length, length+mean (default none)",
    )
    command.add_argument("--html", metavar="FILE", help="write a page with coloured tokens as well")
    _add_choices(command)


def _add_long_prompt(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--long-prompt",
        default="a1111",
        metavar="P",
        help="beyond the encoder's length: a1111, comfy, sentence, truncate, error (default a1111)",
    )


def _add_convert(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "convert", "write a prompt in another dialect")
    command.add_argument("text", metavar="TEXT", help="the prompt")
    _add_dialect(command)
    command.add_argument("--to", required=True, metavar="D", help="the dialect to write")


def _add_encode(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "encode", "write the embeddings of a table's prompts, for training")
    command.add_argument("prompts", metavar="TABLE", help=".jsonl, .csv, .tsv, .parquet or .txt")
    command.add_argument("--out", required=True, metavar="DIR", help="where to write")
    _add_column(command, "prompt", "that holds the prompts", "--column")
    _add_model(command)
    _add_dialect(command)
    _add_weighting(command)
    _add_long_prompt(command)
    command.add_argument(
        "--clip-skip", type=finite, metavar="K", help="CLIP layers to leave out (default: none)"
    )
    command.add_argument(
        "--batch-size", type=count, default=32, metavar="N", help="prompts at once (default 32)"
    )
    command.add_argument(
        "--shard-size", type=count, default=256, metavar="N", help="prompts a file (default 256)"
    )
    _add_device(command)
    command.add_argument(
        "--dtype",
        choices=["float32", "float16", "bfloat16"],
        default="float16",
        help="of what is written (default float16)",
    )


def _add_app(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "app", "open the demo: a page that shows all this in a browser")
    _add_model(command)
    command.add_argument(
        "--scorer",
        action="append",
        metavar="C",
        help="a CLIP that ranks; a second one is shown beside it (default: the model's own clip/)",
    )
    command.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen on (default 127.0.0.1)"
    )
    command.add_argument(
        "--port", type=count, metavar="P", help="port (default: the first free one from 7860)"
    )
    command.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors for this")
    command.add_argument(
        "--batch-size", type=count, default=8, metavar="N", help="pictures at once (default 8)"
    )
    _add_device(command)


def _add_column(command: argparse.ArgumentParser, name: str, summary: str, *older: str) -> None:
    command.add_argument(
        f"--{name}-column", *older, default=name, metavar="C", help=f"{summary} (default {name})"
    )


def _add_wildcards(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--wildcards",
        metavar="DIR",
        help="choose among {a|b} and __file__, a line of DIR/file.txt, by --seed before the prompt is read",
    )


def _add_choices(command: argparse.ArgumentParser) -> None:
    _add_wildcards(command)
    command.add_argument(
        "--seed", type=seed, default=0, metavar="S", help="what --wildcards chooses by (default 0)"
    )


def _add_dialect(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dialect",
        default="a1111",
        metavar="D",
        help="prompt syntax: a1111, comfy, compel or plain (default a1111)",
    )


def _add_weighting(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weighting", default="comfy", metavar="W", help="what weights do (default comfy)"
    )


def _add_models(command: argparse.ArgumentParser) -> None:
    _add_model(command)
    command.add_argument(
        "--scorer",
        metavar="C",
        help="a CLIP folder, file or hub id that ranks (default: the model's own clip/, if it has one)",
    )
    _add_dialect(command)
    _add_weighting(command)
    _add_long_prompt(command)
    command.add_argument(
        "--out", default="pictures", metavar="DIR", help="where to write (default pictures)"
    )
    _add_device(command)
    command.add_argument(
        "--dtype",
        choices=["float32", "float16", "bfloat16"],
        help="(default float32 on the CPU, else float16)",
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        default="emoji",
        metavar="M",
        help="'emoji' (shipped), a diffusers folder or a hub id (default emoji)",
    )


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--device", metavar="DEV", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)"
    )


def _add_scorer(command: argparse.ArgumentParser) -> None:
    """The CLIP that judges, and what `ClipScorer.from_pretrained` takes with it; `cli.models.scorer_of` reads these."""
    group = command.add_argument_group("the CLIP that judges")
    group.add_argument(
        "--scorer",
        default="emoji",
        metavar="C",
        help="'emoji' (shipped), a CLIP folder, file or hub id (default emoji)",
    )
    group.add_argument(
        "--device", metavar="DEV", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)"
    )
    group.add_argument(
        "--dtype",
        choices=["float32", "float16", "bfloat16"],
        default="float32",
        help="that its towers compute in; half is faster on a GPU and rounds scores (default float32)",
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


def _add(
    commands: argparse._SubParsersAction,
    name: str,
    summary: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary + ".", epilog=_EXITS)
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")
    command.add_argument(
        "--debug", action="store_true", help="tracebacks and the libraries' own messages"
    )
    return command
