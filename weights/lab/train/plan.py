"""Measure each stage for a short while and print the plan that fits the time; nothing that it trains is kept.

    python -m weights.lab.train.plan --preset full --minutes 24     # about four minutes on a GPU

Prints what a forward costs, how fast pictures go through each stage and what share of the device's own matrix rate
that is, and how many pictures each stage of `weights.lab.train.run` would see.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTokenizer

from clipcond.clip.training.building import build_clip
from clipcond.clip.training.towers import Towers
from clipcond.emoji.world import PRESETS
from weights.lab import reports
from weights.lab.train import clip, common, denoiser
from weights.lab.train.autoencoder import FOLD, LATENT_CHANNELS
from weights.lab.train.pipeline import pipeline
from weights.lab.train.run import SHARES, command, prepare
from weights.lab.train.tokenizer import POSITIONS

BACKWARD = 2  # a backward costs about as much as so many forwards
PICTURES, STEPS = 4, 20
LOGS = {"clip": "clip-training/log.jsonl", "denoiser": "denoiser.jsonl"}
_MATRIX = 8192
Row = dict[str, Any]


def denoiser_flops(preset: str) -> int:
    """Floating-point operations of one denoiser forward for one picture."""
    width, side = clip.SIZES[preset].architecture.text.width, PRESETS[preset].size // FOLD[preset]
    unet = denoiser.build(preset, width)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet(
            torch.zeros(1, LATENT_CHANNELS[preset], side, side),
            torch.zeros(1),
            torch.zeros(1, POSITIONS, width),
        )
    return counter.get_total_flops()


def clip_flops(preset: str, tokenizer: CLIPTokenizer) -> int:
    """Floating-point operations of both towers' forward for one picture and its caption of 16 tokens."""
    built, size = build_clip(clip.SIZES[preset], tokenizer, 0), PRESETS[preset].size
    tokens, ends = torch.full((1, 16), tokenizer.eos_token_id), torch.tensor([15])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        Towers(built)(torch.zeros(1, 3, size, size), tokens, ends)
    return counter.get_total_flops()


def matrix_rate(device: torch.device) -> tuple[float, str]:
    """Operations a second of the device's own matrix product, the best of a few, and the dtype that training computes in."""
    side = _MATRIX if device.type == "cuda" else 1024
    dtype = common.training_dtype(device)
    a = torch.randn(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(4):
            a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - start) / 4)
    return 2 * side**3 / best, str(dtype).removeprefix("torch.")


def pictures_per_second(log: Path) -> float:
    """From a stage's log: after its first row, so that compiling and starting workers do not count.

    Raises:
        SystemExit: the stage ran too short for two rows.
    """
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if len(rows) < 2:
        raise SystemExit(f"{log}: fewer than {2 * common.LOG_STEPS} steps; give more --measure")
    # all rows are of as many pictures
    return harmonic_mean(row["pictures_per_second"] for row in rows[1:])


def sampling_seconds(run: Path, preset: str) -> float:
    """Seconds that an untrained denoiser takes on the CPU for four pictures in twenty steps, guided, and decoded."""
    pipe = pipeline(run, denoiser.build(preset, clip.SIZES[preset].architecture.text.width))
    pipe.set_progress_bar_config(disable=True)
    start = time.perf_counter()
    pipe(["a fox"] * PICTURES, num_inference_steps=STEPS, guidance_scale=3.0)
    return time.perf_counter() - start


def measured(preset: str, run: Path, options: list[str]) -> dict[str, float]:
    """Pictures a second of each stage that trains; the judge is another CLIP."""
    prepare(preset, run)
    found = {}
    for stage, log in LOGS.items():
        subprocess.run(command(stage, preset, run, *options), check=True)
        found[stage] = pictures_per_second(run / log)
    return found | {"judge": found["clip"]}


def plan(
    rates: dict[str, float], costs: dict[str, int], *, peak: float, minutes: float
) -> list[Row]:
    """What each stage would see."""
    return [
        {
            "stage": stage,
            "forward_gflop": costs[stage] / 1e9,
            "pictures_per_second": rates[stage],
            "matrix_share": rates[stage] * costs[stage] * (1 + BACKWARD) / peak,
            "minutes": share * minutes,
            "pictures": rates[stage] * share * minutes * 60,
        }
        for stage, share in SHARES.items()
    ]


def table(rows: list[Row], minutes: float) -> Table:
    """The plan for people."""
    head = "stage|GFLOP a forward|pictures/s|of the matrix rate|minutes|pictures"
    printed = Table(*head.split("|"), title=f"{minutes:g} minutes")
    for row in rows:
        printed.add_row(
            row["stage"],
            f"{row['forward_gflop']:.2f}",
            f"{row['pictures_per_second']:,.0f}",
            f"{100 * row['matrix_share']:.1f} %",
            f"{row['minutes']:.1f}",
            f"{row['pictures']:,.0f}",
        )
    return printed


def main() -> None:
    """Measure, print and write."""
    parser = reports.parser(__doc__, "preset", "json", preset="full")
    parser.add_argument("--minutes", type=float, default=24, help="of the run to plan")
    parser.add_argument("--measure", type=float, default=1.5, help="minutes of each stage now")
    args, rest = parser.parse_known_args()  # the rest goes to the stages: --batch, --workers ...
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        options = ["--minutes", f"{args.measure}", *rest]
        rates = measured(args.preset, run, options)
        tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
        seconds = sampling_seconds(run, args.preset)
    of_clip = clip_flops(args.preset, tokenizer)
    costs = {"clip": of_clip, "judge": of_clip, "denoiser": denoiser_flops(args.preset)}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = f"CPU, threads: {torch.get_num_threads()}"
    peak, dtype = matrix_rate(device)
    report = {
        "preset": args.preset,
        "hardware": torch.cuda.get_device_name() if device.type == "cuda" else threads,
        "matrix_tflops": peak / 1e12,
        "dtype": dtype,
        "stages": plan(rates, costs, peak=peak, minutes=args.minutes),
        "sampling": {"pictures": PICTURES, "steps": STEPS, "seconds": seconds, "on": threads},
    }
    console = Console()
    console.print(table(report["stages"], args.minutes))
    console.print(f"{report['hardware']}: {peak / 1e12:.3g} TFLOP/s in a matrix product in {dtype}")
    console.print(f"{PICTURES} pictures in {STEPS} steps: {seconds:.1f} s on {threads}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
