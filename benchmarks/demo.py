"""How long the main job takes and how much memory: eight candidates of one prompt, ranked and written.

    python -m benchmarks.demo --json weights/speed.json      # on an idle machine

The whole command runs in a process of its own, three times, start-up and loading included; the median is reported.
Sampling alone is timed in this process, after one run to warm up.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from diffusers import StableDiffusionPipeline

from clipcond import Conditioner, emoji
from clipcond.resources import model_folder
from weights.lab import reports

PROMPT = "a red heart to the left of a (fox:1.3)"
CANDIDATES, RUNS = 8, 3


def whole_command() -> tuple[float, float]:
    """Median seconds of `clipcond generate`, and the peak resident memory of its process in MB."""
    seconds = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "clipcond", "generate", PROMPT]
            command += ["--candidates", str(CANDIDATES), "--keep", "4", "--out", f"{folder}/out"]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return statistics.median(seconds), kilobytes / 1024


def sampling() -> float:
    """Median seconds of the pipeline's call alone."""
    pipe = StableDiffusionPipeline.from_pretrained(model_folder("emoji"))
    pipe.set_progress_bar_config(disable=True)
    inputs = Conditioner.from_pipeline(pipe)(PROMPT).kwargs_for(
        pipe, num_images_per_prompt=CANDIDATES
    )
    seconds = []
    for _ in range(1 + RUNS):
        start = time.perf_counter()
        pipe(
            **inputs,
            num_inference_steps=emoji.DEFAULT_STEPS,
            guidance_scale=emoji.DEFAULT_GUIDANCE_SCALE,
        )
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def main() -> None:
    """Measure, print and write."""
    args = reports.parser(__doc__, "json").parse_args()
    seconds, megabytes = whole_command()
    report = {
        "prompt": PROMPT,
        "candidates": CANDIDATES,
        "seconds": round(seconds, 1),
        "sampling_seconds": round(sampling(), 1),
        "peak_mb": round(megabytes),
        "hardware": reports.hardware(),
        "torch": torch.__version__,
    }
    reports.write(report, args.json)


if __name__ == "__main__":
    main()
