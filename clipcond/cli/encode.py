"""`clipcond encode`: a table's prompts to a folder of embeddings, for training."""

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from clipcond.cli.models import locate, pick_device
from clipcond.cli.terminal import hush_loading, note, write_json
from clipcond.conditioning import Conditioner
from clipcond.precompute import encode_prompts
from clipcond.precompute.job import summary_json


def run(arguments: argparse.Namespace) -> int:
    """Encode, with a progress bar; prompts that cannot be encoded are named."""
    import transformers

    hush_loading(transformers)
    device = pick_device(arguments.device)
    dtype = getattr(torch, arguments.dtype)
    conditioner = Conditioner.from_pretrained(
        locate(arguments.model),
        dialect=arguments.dialect,
        weighting=arguments.weighting,
        long_prompt=arguments.long_prompt,
        clip_skip=arguments.clip_skip,
    )
    for path in conditioner.paths:
        # half precision is slow on CPUs; there only the result is rounded
        path.encoder.module.to(device, torch.float32 if device.type == "cpu" else dtype)
    out = Path(arguments.out)
    with tqdm(unit=" prompts", file=sys.stderr, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        summary = encode_prompts(
            conditioner,
            arguments.prompts,
            out,
            column=arguments.prompt_column,
            dtype=dtype,
            batch_size=arguments.batch_size,
            shard_size=arguments.shard_size,
            progress=show,
        )
    for failure in summary.failures:
        note(failure)
    found = summary_json(summary, out)
    if arguments.json:
        write_json(found)
    else:
        note(
            f"{summary.prompts} prompts, {summary.distinct} distinct, {summary.encoded} encoded now, "
            f"{len(summary.failures)} failed: {found['bytes'] / 1e6:.1f} MB in {out}"
        )
    if len(summary.failures) == summary.distinct:
        return 2
    return 1 if summary.failures else 0
