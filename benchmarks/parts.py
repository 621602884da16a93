"""Long measurements in parts: their command line, and the JSON that keeps the parts that are not measured again."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

Json = dict[str, Any]
Part = Callable[[Path, argparse.Namespace], Json]


def run(doc: str, parts: Mapping[str, Part], arguments: Mapping[str, Mapping[str, Any]]) -> None:
    """Measure the parts that are asked for, each in a folder of its own, print and write.

    Args:
        doc: what is measured, for --help.
        parts: by name; what each finds goes under it.
        arguments: of argparse's `add_argument`, by flag.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag, how in arguments.items():
        parser.add_argument(flag, **how)
    parser.add_argument(
        "--only", choices=parts, action="append", help="this part, the others from the JSON"
    )
    parser.add_argument("--json", type=Path, help="write here too")
    args = parser.parse_args()
    known = args.only and args.json and args.json.exists()
    found: Json = json.loads(args.json.read_text()) if known else {}
    found |= {"hardware": f"{torch.get_num_threads()} CPU threads", "torch": torch.__version__}
    for name in args.only or parts:
        with tempfile.TemporaryDirectory() as folder:
            found |= parts[name](Path(folder), args)
    text = json.dumps(found, indent=1)
    sys.stdout.write(text + "\n")
    if args.json:
        args.json.write_text(text + "\n")
