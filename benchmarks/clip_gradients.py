"""Contrastive gradients over several processes beside those of one process, of this library and of open_clip.

    pip install --no-deps --target packages open_clip_torch==3.3.0     # apart, since it needs torchvision and this needs none there
    python -m benchmarks.clip_gradients --packages packages [--json FILE]

Tiny ViT towers in float64, batches of 24 pairs in equal shares over 2 and 4 gloo processes on the CPU, DDP's average; the
reference is one process with all pairs and the formula of Radford et al. 2021, figure 3. open_clip's loss is read from its own
file (open_clip/loss.py) and given the same towers. They are untrained: where a direction is wrong, how wrong it is depends on
the weights.
"""

import argparse
import importlib.util
import json
import os
import platform
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch.nn.parallel import DistributedDataParallel

from clipcond.clip.training.building import build_clip
from clipcond.clip.training.losses import infonce
from clipcond.clip.training.towers import Compared, Towers
from clipcond.clip.training.vocabulary import learn

PAIRS, PROCESSES = 24, (2, 4)
FLAGS = [(local, grad) for local in (False, True) for grad in (False, True)]
Loss = Callable[[Compared, torch.Tensor], torch.Tensor]


def plain(compared: Compared, rows: torch.Tensor) -> torch.Tensor:
    """The formula, in one process."""
    logits = compared.scale * compared.image @ compared.text.T
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2


def ours(compared: Compared, rows: torch.Tensor) -> torch.Tensor:
    """This library's."""
    return infonce(compared, rows, rows)


def open_clips(file: Path, *, local_loss: bool, gather_with_grad: bool) -> Loss:
    """open_clip's ClipLoss with two of its flags."""
    spec = importlib.util.spec_from_file_location("open_clip_loss", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file}: not to be read; see --help for what --packages is")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loss = module.ClipLoss(
        local_loss=local_loss,
        gather_with_grad=gather_with_grad,
        rank=dist.get_rank(),
        world_size=dist.get_world_size(),
    )
    return lambda compared, _rows: loss(compared.image, compared.text, compared.scale)


def towers() -> Towers:
    """The same in every process."""
    tokenizer = learn(["a red fox and a blue heart"] * 4, 520)
    return Towers(build_clip("tiny", tokenizer, 0)).double()


def gradients(model: torch.nn.Module, rows: torch.Tensor, loss: Loss) -> dict[str, torch.Tensor]:
    """By name, of the pairs with these numbers."""
    made = torch.Generator().manual_seed(0)
    pixels = torch.randn(PAIRS, 3, 32, 32, generator=made, dtype=torch.float64)
    tokens = torch.randint(0, 500, (PAIRS, 8), generator=made)
    compared = model(pixels[rows], tokens[rows], torch.full((len(rows),), 7))
    loss(compared, rows).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def one(
    rank: int, *, processes: int, folder: str, file: Path, flags: tuple[bool, bool] | None
) -> None:
    """A process's part; the first one writes what DDP arrives at."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=processes)
    model = DistributedDataParallel(towers())
    rows = torch.arange(PAIRS).chunk(processes)[rank]
    loss = (
        ours if flags is None else open_clips(file, local_loss=flags[0], gather_with_grad=flags[1])
    )
    found = gradients(model, rows, loss)
    if rank == 0:
        unwrapped = {name.removeprefix("module."): gradient for name, gradient in found.items()}
        torch.save(unwrapped, Path(folder) / "gradients.pt")
    dist.destroy_process_group()


def compared(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> dict[str, float]:
    """Lengths beside the reference's, the angle between, and the largest difference in parts of the largest gradient."""
    names = [name for name in expected if name != "model.logit_scale"]
    mine, right = (torch.cat([each[n].flatten() for n in names]) for each in (found, expected))
    scale = found["model.logit_scale"] / expected["model.logit_scale"]
    return {
        "towers_ratio": (mine.norm() / right.norm()).item(),
        "towers_cosine": F.cosine_similarity(mine, right, dim=0).item(),
        "scale_ratio": scale.item(),
        "largest_difference": ((mine - right).abs().max() / right.abs().max()).item(),
    }


def measure(file: Path) -> list[dict[str, Any]]:
    """A row a loss and number of processes."""
    expected = gradients(towers(), torch.arange(PAIRS), plain)
    rows = []
    for flags in (None, *FLAGS):
        for processes in PROCESSES:
            with tempfile.TemporaryDirectory() as folder:
                work = partial(one, processes=processes, folder=folder, file=file, flags=flags)
                mp.spawn(work, nprocs=processes)
                found = torch.load(Path(folder) / "gradients.pt", weights_only=True)
            name = "clipcond" if flags is None else f"open_clip, {_told(flags)}"
            rows.append({"loss": name, "processes": processes, **compared(found, expected)})
    return rows


def _told(flags: tuple[bool, bool]) -> str:
    said = [name for name, on in zip(("local_loss", "gather_with_grad"), flags, strict=True) if on]
    return " + ".join(said) or "as it comes"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, required=True, help="where open_clip_torch is")
    parser.add_argument("--json", type=Path, help="write here too")
    args = parser.parse_args()
    rows = measure(args.packages / "open_clip" / "loss.py")
    table = Table("loss", "processes", "towers", "cosine", "logit scale", "largest difference")
    for row in rows:
        table.add_row(
            row["loss"], str(row["processes"]), f"{row['towers_ratio']:.6f}", f"{row['towers_cosine']:.9f}",
            f"{row['scale_ratio']:.6f}", f"{row['largest_difference']:.1e}",
        )  # fmt: skip
    Console().print(table)
    if args.json:
        (peer,) = (f.name for f in args.packages.glob("open_clip_torch-*.dist-info"))
        machine = {
            "command": "python -m benchmarks.clip_gradients --packages DIR --json FILE",
            "cpu": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "open_clip_torch": peer.removeprefix("open_clip_torch-").removesuffix(".dist-info"),
        }
        args.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
