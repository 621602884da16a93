"""`clipcond encode`: a table's prompts to a folder of embeddings, for training."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import (
    add_column,
    add_device,
    add_dialect,
    add_dtype,
    add_long_prompt,
    add_model,
    add_weighting,
    unpack,
)
from clipcond.cli.terminal import hush_loading, note, write_json
from clipcond.cli.values import count, finite

SUMMARY = "write the embeddings of a table's prompts, for training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed."""

    prompts: Path
    out: Path
    prompt_column: str
    model: str
    dialect: str
    weighting: str
    long_prompt: str
    clip_skip: float | None
    batch_size: int
    shard_size: int
    device: str | None
    dtype: str
    json: bool


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The table, where to write, and how its prompts are read and encoded."""
    command.add_argument(
        "prompts", type=Path, metavar="TABLE", help=".jsonl, .csv, .tsv, .parquet or .txt"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    add_column(command, "prompt", "that holds the prompts", "--column")
    add_model(command)
    add_dialect(command)
    add_weighting(command)
    add_long_prompt(command)
    command.add_argument(
        "--clip-skip", type=finite, metavar="K", help="CLIP layers to leave out (default: none)"
    )
    command.add_argument(
        "--batch-size", type=count, default=32, metavar="N", help="prompts at once (default 32)"
    )
    command.add_argument(
        "--shard-size", type=count, default=256, metavar="N", help="prompts a file (default 256)"
    )
    add_device(command)
    add_dtype(command, "float16", "of what is written (default float16)")


def run(arguments: argparse.Namespace) -> int:
    """Encode, with a progress bar; prompts that cannot be encoded are named."""
    import torch
    from tqdm import tqdm

    from clipcond.conditioning import Conditioner
    from clipcond.models import pick_device
    from clipcond.precompute import encode_prompts, summary_json

    request = unpack(Request, arguments)
    hush_loading("transformers")
    device, dtype = pick_device(request.device), getattr(torch, request.dtype)
    conditioner = Conditioner.from_pretrained(
        request.model,
        dialect=request.dialect,
        weighting=request.weighting,
        long_prompt=request.long_prompt,
        clip_skip=request.clip_skip,
    )
    for path in conditioner.paths:
        # half precision is slow on CPUs; there only the result is rounded
        path.encoder.module.to(device, torch.float32 if device.type == "cpu" else dtype)
    with tqdm(unit=" prompts", file=sys.stderr, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        summary = encode_prompts(
            conditioner,
            request.prompts,
            request.out,
            column=request.prompt_column,
            dtype=dtype,
            batch_size=request.batch_size,
            shard_size=request.shard_size,
            progress=show,
        )
    for failure in summary.failures:
        note(failure)
    found = summary_json(summary, request.out)
    if request.json:
        write_json(found)
    else:
        note(
            f"{summary.prompts} prompts, {summary.distinct} distinct, {summary.encoded} encoded now, "
            f"{len(summary.failures)} failed: {found['bytes'] / 1e6:.1f} MB in {request.out}"
        )
    if len(summary.failures) == summary.distinct:
        return 2
    return 1 if summary.failures else 0
