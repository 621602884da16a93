"""Every training stage runs, resumes, trains on from shipped weights, and makes a folder that stock diffusers loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from clipcond import emoji
from weights.train import autoencoder, common

ROOT = Path(autoencoder.__file__).parents[2]
MINUTES = 0.05


def stage(name: str, *options: str | Path) -> str:
    """Run one stage as a user would; what it printed."""
    command = [sys.executable, "-m", f"weights.train.{name}", *map(str, options)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["small", "full"])
def test_all_stages_run_end_to_end(preset: str, tmp_path: Path) -> None:
    run = tmp_path / preset
    stage("tokenizer", "--out", run / "tokenizer")
    common_options = (
        "--preset",
        preset,
        "--run",
        run,
        "--minutes",
        MINUTES,
        "--batch",
        2,
        "--device",
        "cpu",
    )
    for name, *more in (
        ["clip"],
        ["clip", "--judge", "--seed", "1"],
        ["autoencoder"],
        ["denoiser"],
    ):
        stage(name, *common_options, *more)
    stage(
        "assemble",
        "--run",
        run,
        "--preset",
        preset,
        "--out",
        tmp_path / "emoji",
        "--judge",
        tmp_path / "judge",
    )
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "emoji")
    image = pipe("a fox", num_inference_steps=1).images[0]
    assert image.width == emoji.world.PRESETS[preset].size
    assert list(run.glob("samples-*.png"))
    stage("clip", *common_options, "--init", tmp_path / "emoji", "--run", run)


def test_a_stage_resumes_where_it_stopped(tmp_path: Path) -> None:
    options = ("--run", tmp_path, "--batch", 2, "--device", "cpu", "--minutes")
    stage("autoencoder", *options, MINUTES)
    first = torch.load(tmp_path / "autoencoder.ckpt", weights_only=True)
    stage("autoencoder", *options, 2 * MINUTES)
    second = torch.load(tmp_path / "autoencoder.ckpt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert second["minutes"] < 2.5 * MINUTES


def test_the_encoder_folds_patches_and_loses_nothing() -> None:
    _, pixels = common.batch(common.scenes("small", 1), 8, "small")
    model = autoencoder.build("small")
    with torch.no_grad():
        latents = model.encode(pixels / 127.5 - 1).latents * autoencoder.SCALING_FACTOR
    assert latents.shape == (8, 48, 8, 8)
    torch.testing.assert_close(latents, autoencoder.codes(pixels), rtol=0, atol=1e-6)
    pixels = (pixels / 127.5 - 1) * autoencoder.SCALING_FACTOR
    torch.testing.assert_close(latents.flatten(1).sort().values, pixels.flatten(1).sort().values)


def test_the_log_is_json_lines(tmp_path: Path) -> None:
    log = common.Log(tmp_path / "a" / "log.jsonl")
    log(stage="x", step=1, loss=0.123456789)
    assert json.loads((tmp_path / "a" / "log.jsonl").read_text()) == {
        "stage": "x",
        "step": 1,
        "loss": 0.12346,
    }


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    clock = common.Clock(minutes=10)
    rates = {}
    for spent in (0.0, 0.15, 3.0, 7.5, 10.0):
        clock.start = common.time.monotonic() - spent * 60
        rates[spent] = clock.rate(1.0)
    assert rates[0.0] < rates[0.15] < rates[3.0] == 1.0 > rates[7.5] > rates[10.0]
    assert rates[10.0] < 1e-6
