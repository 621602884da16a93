"""Pictures a second of this library's training loop beside open_clip's own, on one tiny ViT CLIP and the same batches.

    make bench-install
    .venv-bench/bin/python -m benchmarks.clip_throughput [--json FILE]

Both loops are given the same tensors, so that neither reads files: 128 pictures of 32 px and captions of 16 tokens a step, float32,
AdamW, the plain loss, one process. open_clip's is `open_clip_train.train.train_one_epoch` with the defaults of its command line
but for the precision; its model is `open_clip.CLIP` with the same numbers. They take turns; a figure is the median over all
steps, the interval its quartiles. open_clip pads captions to 77 tokens whatever they have, which is the second row.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.race import matrix_rate, wall
from benchmarks.shapes import let_apart_in
from clipcond.clip.training.accelerating import make_accelerator
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.building import build_clip
from clipcond.clip.training.loop import fit
from clipcond.clip.training.presets import find_preset
from clipcond.clip.training.settings import Keeping, Settings
from clipcond.clip.training.towers import Towers
from clipcond.clip.training.vocabulary import learn

PAIRS, TOKENS, WHOLE = 128, 16, 77
STEPS, SKIPPED = 12, 2  # of a turn, and those of it that are not counted
_SIDE = 1024  # of the matrices that the machine's rate is measured with


def pictures_and_ids(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch that both learn from."""
    made = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 500, (PAIRS, length), generator=made)
    ids[:, TOKENS - 1] = 519  # the end of a text has the highest id, which open_clip looks for
    ids[:, TOKENS:] = 0
    return torch.randn(PAIRS, 3, 32, 32, generator=made), ids


class Turn:
    """Batches for a number of steps, and how long each step took."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.seconds: list[float] = []

    def __iter__(self) -> Iterator[Any]:
        for _ in range(STEPS):
            start = time.perf_counter()
            yield self.batch
            self.seconds.append(time.perf_counter() - start)


def ours() -> list[float]:
    """Seconds a step of a turn of this library's loop."""
    pixels, ids = pictures_and_ids(TOKENS)
    turn = Turn(
        Batch(
            pixels=pixels,
            tokens=ids,
            ends=torch.full((PAIRS,), TOKENS - 1),
            pictures=torch.arange(PAIRS),
            captions=torch.arange(PAIRS),
        )
    )
    settings = Settings(steps=STEPS - 1, rate=5e-4)
    with tempfile.TemporaryDirectory() as out:
        fit(
            build_clip("tiny", tokenizer(), 0),
            lambda _first: iter(turn),
            settings,
            accelerator=make_accelerator(settings, out=Path(out), device="cpu"),
            out=Path(out),
            keeping=Keeping(minutes=None, log_steps=100),
        )
    return turn.seconds[SKIPPED:]


def tokenizer() -> Any:
    """A vocabulary of 520."""
    return learn(["a red fox and a blue heart"] * 4, 520)


def theirs(length: int) -> list[float]:
    """Seconds a step of a turn of open_clip's loop."""
    import open_clip
    from open_clip_train import train

    sizes = find_preset("tiny").architecture
    image, text = sizes.image, sizes.text
    model = open_clip.CLIP(
        embed_dim=sizes.dim,
        quick_gelu=True,
        output_dict=True,
        vision_cfg={
            "image_size": image.image_size, "layers": image.layers, "width": image.width,
            "patch_size": image.patch, "head_width": image.width // image.heads,
        },
        text_cfg={
            "context_length": length, "vocab_size": 520, "width": text.width, "heads": text.heads, "layers": text.layers,
        },
    )  # fmt: skip
    turn = Turn(pictures_and_ids(length))
    data = {"train": SimpleNamespace(set_epoch=lambda _: None, dataloader=Loader(turn))}
    args = SimpleNamespace(
        device="cpu", precision="fp32", distill=False, accum_freq=1, skip_scheduler=True, horovod=False,
        grad_clip_norm=None, log_every_n_steps=100, rank=0, local_rank=0, log_local=False, world_size=1,
        batch_size=PAIRS, wandb=False,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-6)
    loss = open_clip.ClipLoss(cache_labels=True)
    train.train_one_epoch(model, data, loss, 0, optimizer, None, None, None, args)
    return turn.seconds[SKIPPED:]


class Loader:
    """What open_clip's loop asks of a DataLoader."""

    num_batches, num_samples = STEPS, STEPS * PAIRS

    def __init__(self, turn: Turn) -> None:
        self.turn = turn

    def __iter__(self) -> Iterator[Any]:
        return iter(self.turn)


def flops() -> int:
    """Floating-point operations of a step: a forward, and a backward of twice that."""
    pixels, ids = pictures_and_ids(TOKENS)
    towers = Towers(build_clip("tiny", tokenizer(), 0))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        towers(pixels, ids, torch.full((PAIRS,), TOKENS - 1))
    return 3 * counter.get_total_flops()


def measure(turns: int) -> list[dict[str, Any]]:
    """A row a loop."""
    rows = {
        "clipcond": ours,
        "open_clip": lambda: theirs(TOKENS),
        "open_clip, 77 tokens": lambda: theirs(WHOLE),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(turns):
        for name, turn in rows.items():
            seconds[name] += turn()
    possible = matrix_rate((_SIDE, _SIDE, _SIDE), torch.device("cpu"), wall)
    return [
        {
            "loop": name,
            "pictures_per_second": PAIRS / float(np.median(found)),
            "quartiles": [PAIRS / float(q) for q in np.quantile(found, (0.75, 0.25))],
            "matrix_share": flops() / float(np.median(found)) / possible
            if name == "clipcond"
            else None,
            "steps": len(found),
        }
        for name, found in seconds.items()
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5, help="of each loop")
    parser.add_argument("--json", type=Path, help="write here too")
    args = parser.parse_args()
    ours()  # first, since transformers cannot be imported beside a torchvision that is half there
    declared = let_apart_in()
    rows = measure(args.turns)
    del declared
    table = Table("loop", "pictures a second", "quartiles", "share of the matrix rate")
    for row in rows:
        low, high = row["quartiles"]
        share = "" if row["matrix_share"] is None else f"{100 * row['matrix_share']:.0f} %"
        table.add_row(
            row["loop"], f"{row['pictures_per_second']:.0f}", f"{low:.0f} to {high:.0f}", share
        )
    Console().print(table)
    if args.json:
        machine = {
            "cpu": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__,
        }  # fmt: skip
        args.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
