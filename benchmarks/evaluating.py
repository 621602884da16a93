"""Evaluations at scale: memory at 10,000 and 100,000 pairs, what Ray costs, time outside of forwards, the rate beside torchmetrics.

    python -m benchmarks.evaluating --json benchmarks/evaluating.json        # on an idle machine, about 20 minutes on two cores

Towers have random weights: "shipped" is the emoji model's CLIP, on pictures of 32 px; "ViT-B/32" has the shape of OpenAI's, on
JPEGs of 512 x 512. torchmetrics (pip install torchmetrics) is left out where it is not installed. Its 1.9.0 takes what
transformers 4 gave, so that it is handed the same towers with their answers unpacked; its text is padded to the longest
of a batch and it gets its pictures decoded, one batch after another, as its users do.
"""

import argparse
import importlib.util
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPProcessor

from benchmarks.parts import Json, Part, run
from benchmarks.shapes import clip_folder, unpacked
from clipcond import ClipScorer, emoji
from clipcond.evaluation.job import judge_pictures
from clipcond.evaluation.judges import Varied
from clipcond.evaluation.pictures import find_pictures
from clipcond.score.variants import find_variant
from clipcond.tables import write_rows

SMALL = 1000  # different small pictures
BATCH = 32


def small_table(folder: Path, count: int) -> Path:
    """A table of so many pairs, each with a caption of its own."""
    pictures = folder / "small"
    pictures.mkdir(exist_ok=True)
    for number in range(SMALL):
        if not (pictures / f"{number}.png").exists():
            emoji.render(emoji.sample(number), 32).save(pictures / f"{number}.png")
    rows = [
        {"file": f"small/{n % SMALL}.png", "prompt": f"{emoji.caption(emoji.sample(n % SMALL), n)} no. {n}", "seed": n // SMALL}
        for n in range(count)
    ]  # fmt: skip
    table = folder / f"{count}.csv"
    write_rows(rows, table)
    return table


def whole(table: Path, out: Path, *engine: str) -> Json:
    """A whole `clipcond evaluate pictures` in a process of its own: its peak of memory and its time."""
    typed = ["evaluate", "pictures", str(table), "--scorer", "emoji", "--out", str(out), *engine]
    start = time.monotonic()
    child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "clipcond", *typed])
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"clipcond {' '.join(typed)} failed")
    return {"peak_mb": round(used.ru_maxrss / 1024), "seconds": round(time.monotonic() - start, 1)}


def large_table(folder: Path, count: int) -> Path:
    """JPEGs of 512 x 512 of noise that is smooth enough to be like photographs in size (about 60 KB)."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
        coarse.resize((512, 512), Image.Resampling.BICUBIC).save(
            folder / f"{number}.jpg", quality=90
        )
        rows.append(
            {"file": f"{number}.jpg", "prompt": emoji.caption(emoji.sample(number), number)}
        )
    write_rows(rows, folder / "large.csv")
    return folder / "large.csv"


class Watched:
    """How long a module's forwards take, together."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.seconds = 0.0
        module.register_forward_pre_hook(self._begin)
        module.register_forward_hook(self._end)

    def _begin(self, *_: object) -> None:
        self._start = time.perf_counter()

    def _end(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start


def ours(scorer: ClipScorer, table: Path, out: Path) -> Json:
    """Rate of the whole, and the share of its time that is not forwards."""
    judge = Varied(scorer, find_variant("torchmetrics"))
    watched = [Watched(getattr(scorer.clip.model, name)) for name in ("vision_model", "text_model")]
    listed = find_pictures(table)
    count = sum(1 for _ in listed())
    start = time.perf_counter()
    judge_pictures(listed, {"clip": judge}, out)
    seconds = time.perf_counter() - start
    with (out / "scores.jsonl").open() as lines:
        mean = float(np.mean([json.loads(line)["clip"] for line in lines]))
    forward = sum(each.seconds for each in watched)
    return {
        "pictures_a_second": round(count / seconds, 1),
        "outside_forwards": round(1 - forward / seconds, 3),
        "mean": round(mean, 4),
    }


def theirs(folder: Path, table: Path) -> Json:
    """torchmetrics' CLIPScore in batches."""
    from torchmetrics.functional.multimodal.clip_score import _clip_score_update

    model = unpacked(CLIPModel.from_pretrained(folder).eval())
    tokenizer = ClipScorer.from_pretrained(folder).clip.tokenizer
    processor = CLIPProcessor(CLIPImageProcessorPil.from_pretrained(folder), tokenizer)
    pictures = list(find_pictures(table)())
    total = 0.0
    start = time.perf_counter()
    with torch.no_grad():
        for first in tqdm(range(0, len(pictures), BATCH), unit=" batches"):
            some = pictures[first : first + BATCH]
            tensors = []
            for each in some:
                with Image.open(each.file) as opened:
                    pixels = np.asarray(opened.convert("RGB"))
                tensors.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
            texts = [each.prompt.text for each in some]
            scores, _ = _clip_score_update(tensors, texts, model, processor)
            total += float(scores.sum())
    seconds = time.perf_counter() - start
    return {
        "pictures_a_second": round(len(pictures) / seconds, 1),
        "mean": round(total / len(pictures), 4),
    }


def memory(folder: Path, args: argparse.Namespace) -> Json:
    """Peaks at both numbers of pairs."""
    found = {}
    for count in args.pairs:
        found[f"{count} pairs"] = whole(small_table(folder, count), folder / f"out-{count}")
        shutil.rmtree(folder / f"out-{count}")
    return found


def engines(folder: Path, args: argparse.Namespace) -> Json:
    """Two processes, and two actors of a local cluster."""
    table, found = small_table(folder, args.pairs[0]), {}
    for name in ("local", "ray"):
        typed = ("--workers", "2", "--engine", name)
        found[f"two workers, {name}"] = whole(table, folder / name, *typed)
    same = [(folder / name / "scores.jsonl").read_bytes() for name in ("local", "ray")]
    return found | {"two workers, the same bytes": same[0] == same[1]}


def rate(folder: Path, args: argparse.Namespace) -> Json:
    """With towers of the shape that most people use."""
    clip, table = clip_folder(folder / "clip"), large_table(folder, args.large)
    scorer = ClipScorer.from_pretrained(clip, batch_size=BATCH)
    found = {"ViT-B/32": ours(scorer, table, folder / "out")}
    if importlib.util.find_spec("torchmetrics"):
        found["ViT-B/32 torchmetrics"] = theirs(clip, table)
    return found


PARTS: dict[str, Part] = {
    "memory": memory,
    "engines": engines,
    "rate": rate,
}


def main() -> None:
    """Measure, print, write."""
    run(
        __doc__,
        PARTS,
        {
            "--pairs": dict(type=int, nargs=2, default=[10_000, 100_000]),
            "--large": dict(type=int, default=640, help="JPEGs for the rate"),
        },
    )


if __name__ == "__main__":
    main()
