"""Where the time of a first picture goes: `clipcond generate` with the shipped model, eight candidates of one prompt, in a process of its own on all cores,
by its stages; the other figure is the whole. Seconds on the clock, the median of three. The last row has the command itself beside a limit of 20 s."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.race import Row, row_of

PROMPT, TIMES, LIMIT = "a red heart to the left of a (fox:1.3)", 3, 20.0
_STAGES = f"""
import json, sys, time
marks = [("", time.perf_counter())]
def mark(name):
    marks.append((name, time.perf_counter()))
import torch
mark("import torch")
from diffusers import StableDiffusionPipeline
from transformers import CLIPModel, CLIPTextModel
mark("import diffusers and transformers")
import clipcond
from clipcond import Conditioner, ClipScorer, generate
from clipcond.resources import model_folder
mark("import the rest of clipcond")
pipe = StableDiffusionPipeline.from_pretrained(model_folder("emoji"))
pipe.set_progress_bar_config(disable=True)
scorer = ClipScorer.from_pretrained("emoji")
mark("load the pipeline and the scorer")
conditioner = Conditioner.from_pipeline(pipe)
conditioner({PROMPT!r})
mark("condition")
result = generate(pipe, {PROMPT!r}, scorer=scorer, conditioner=conditioner, candidates=8, keep=4, num_inference_steps=clipcond.emoji.DEFAULT_STEPS)
mark("draw eight candidates and rank them")
json.dump({{n: t - b for (_, b), (n, t) in zip(marks, marks[1:])}}, sys.stdout)
"""


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 it is a CPU's
    """A row a stage, and the whole: seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"OMP_WAIT_POLICY": "passive"}
    runs = []
    for _ in range(TIMES):
        done = subprocess.run(
            [sys.executable, "-c", _STAGES],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append(json.loads(done.stdout))
    whole = statistics.median(sum(run.values()) for run in runs)
    for stage in runs[0]:
        rates = [(run[stage], whole) for run in runs]
        yield row_of(f"first_picture/{stage}/the whole", rates, unit="s", less=True)
    seconds = [_command(environment) for _ in range(TIMES)]
    yield row_of(
        "first_picture/the command/limit",
        [(each, LIMIT) for each in seconds],
        unit="s",
        target=1.0,
        less=True,
    )


def _command(environment: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        typed = [
            sys.executable,
            "-m",
            "clipcond",
            "generate",
            PROMPT,
            "--candidates",
            "8",
            "--keep",
            "4",
        ]
        start = time.perf_counter()
        subprocess.run(
            [*typed, "--out", str(Path(folder) / "out")],
            env=environment,
            capture_output=True,
            check=True,
        )
        return time.perf_counter() - start
