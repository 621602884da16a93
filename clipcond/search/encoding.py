"""New pictures to rows with vectors: work in bulk, in shards that a killed run leaves for the next."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open

from clipcond.bulk import Finish, Shard, Work
from clipcond.clip.images import read_picture
from clipcond.errors import ClipcondError
from clipcond.files import save_whole
from clipcond.models import pick_device
from clipcond.score import ClipScorer, of_each_that_can
from clipcond.search.facts import facts
from clipcond.search.pictures import Source, read_source

Row = dict[str, Any]
A_SHARD = 64  # pictures, decoded at once


def digest(content: bytes) -> str:
    """Of a picture's bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def encoding(scorer: ClipScorer, device: str | None) -> Work:
    """What is done with a shard of sources."""
    return Work(worker=partial(_worker, scorer, device), prepare=_prepare)


def read_part(file: Path) -> Iterator[tuple[Row, np.ndarray | None]]:
    """(row, its vector) of each picture of a finished shard; the row of one that has none says why under "problem"."""
    with safe_open(file, framework="np") as opened:
        rows = json.loads(opened.metadata()["rows"])
        vectors = iter(opened.get_tensor("vectors"))
        for row in rows:
            yield row, None if row["problem"] else next(vectors)


def _prepare(shard: Shard) -> list[tuple[Row, Image.Image | None]]:
    return [_looked(source) for source in shard.items]


def _looked(source: Source) -> tuple[Row, Image.Image | None]:
    row: Row = {"path": source.path, "bytes": source.size, "changed": source.changed}
    try:
        content = read_source(source.path)
        picture = read_picture(BytesIO(content), source.path)
        with Image.open(BytesIO(content)) as opened:
            row |= facts(opened)
    except ClipcondError as error:
        return row | {"problem": str(error)}, None
    return row | {"hash": digest(content), "problem": ""}, picture


def _worker(scorer: ClipScorer, device: str | None) -> Finish:
    scorer.clip.model.to(pick_device(device))

    def finish(shard: Shard, looked: list[tuple[Row, Image.Image | None]]) -> None:
        rows = [row for row, _ in looked]
        pictures = {i: picture for i, (_, picture) in enumerate(looked) if picture is not None}
        done, wrong = of_each_that_can(
            pictures, lambda some: scorer.image_features(list(some.values()))
        )
        for place, reason in wrong.items():
            rows[place]["problem"] = f"{rows[place]['path']}: {reason}"
        vectors = done[1] if done else torch.zeros(0, scorer.clip.architecture.dim)
        save_whole(shard.file, {"vectors": vectors.contiguous()}, {"rows": json.dumps(rows)})

    return finish
