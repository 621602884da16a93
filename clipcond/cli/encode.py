"""`clipcond encode`: a table's prompts to a folder of embeddings, for training."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clipcond.cli.arguments import (
    BULK,
    DEVICE,
    DIALECT,
    DTYPES,
    LONG_PROMPT,
    MODEL,
    WEIGHTING,
    EngineRequest,
    argument,
    group,
    option,
)
from clipcond.cli.terminal import hush_loading, note, write_json
from clipcond.cli.values import count, finite

if TYPE_CHECKING:
    from clipcond.conditioning import Conditioner


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """write the embeddings of a table's prompts, for training"""

    prompts: Path = argument("TABLE", ".jsonl, .csv, .tsv, .parquet or .txt", type=Path)
    out: Path = option("DIR", "where to write", required=True, type=Path)
    prompt_column: str = option("C", "that holds the prompts", "--column", default="prompt")
    model: str = option("M", MODEL, default="emoji")
    dialect: str = option("D", DIALECT, default="a1111")
    weighting: str = option("W", WEIGHTING, default="comfy")
    long_prompt: str = option("P", LONG_PROMPT, default="a1111")
    clip_skip: float | None = option("K", "CLIP layers to leave out (default: none)", type=finite)
    batch_size: int = option("N", "prompts at once", default=32, type=count)
    shard_size: int = option("N", "prompts a file", default=256, type=count)
    device: str | None = option(*DEVICE)
    dtype: str = option(None, "of what is written", default="float16", choices=DTYPES)
    bulk: EngineRequest = group(*BULK)
    json: bool


def run(request: Request) -> int:
    """Encode, with a progress bar; prompts that cannot be encoded are named."""
    import torch

    from clipcond.bulk import find_engine
    from clipcond.conditioning import Conditioner
    from clipcond.precompute import encode_prompts, summary_json

    hush_loading("transformers")
    bulk = request.bulk
    engine = find_engine(bulk.engine, workers=bulk.workers, address=bulk.address)
    conditioner = Conditioner.from_pretrained(
        request.model,
        dialect=request.dialect,
        weighting=request.weighting,
        long_prompt=request.long_prompt,
        clip_skip=request.clip_skip,
    )
    summary = encode_prompts(
        conditioner,
        request.prompts,
        request.out,
        column=request.prompt_column,
        dtype=getattr(torch, request.dtype),
        batch_size=request.batch_size,
        shard_size=request.shard_size,
        engine=engine,
        on_worker=partial(_placed, device=request.device, dtype=request.dtype),
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


def _placed(conditioner: "Conditioner", *, device: str | None, dtype: str) -> "Conditioner":
    """The conditioner on a worker's device."""
    import torch

    from clipcond.models import pick_device

    place = pick_device(device)
    for path in conditioner.paths:
        # half precision is slow on CPUs; there only the result is rounded
        path.encoder.module.to(
            place, torch.float32 if place.type == "cpu" else getattr(torch, dtype)
        )
    return conditioner
