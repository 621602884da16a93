"""A step of contrastive training: 128 pictures of 32 px with captions of 16 tokens, a tiny ViT, AdamW, float32, tensors that are ready in both. Peer: open_clip's
own loop, `open_clip_train.train.train_one_epoch`. A turn is a dozen steps, of which the first two do not count. The limit counts a forward and
a backward of twice that."""

import statistics
from collections.abc import Iterator

import torch

from benchmarks.race import Row, matrix_rate, row_of, wall
from benchmarks.shapes import let_apart_in

_SIDE = 512


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 open_clip's arguments here are a CPU's
    """One: pictures a second."""
    from benchmarks.clip_throughput import PAIRS, TOKENS, flops, ours, theirs

    torch.set_grad_enabled(True)
    ours()  # first, since transformers cannot be imported beside a torchvision that is half there
    declared = let_apart_in()

    turns = [(statistics.median(ours()), statistics.median(theirs(TOKENS))) for _ in range(3)]
    possible = matrix_rate((_SIDE, _SIDE, _SIDE), torch.device("cpu"), wall)
    yield row_of(
        "train_step/tiny ViT, 128 pairs/open_clip",
        [(PAIRS / own, PAIRS / their) for own, their in turns],
        unit="pictures/s",
        target=1.0,
        limit_share=flops() / statistics.median(own for own, _ in turns) / possible,
    )
    del declared
