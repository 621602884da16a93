"""Every training stage runs, resumes, trains on from shipped weights, and makes a folder that stock diffusers loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPModel

from clipcond import emoji
from clipcond.emoji.scenes import Item, Scene
from weights.train import autoencoder, clip, common, denoiser, patches

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
        ["denoiser", "--samples", 1],
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
    if preset == "full":  # minutes on a CPU; training on is the same code
        return
    more = tmp_path / "more"
    for name, *options in (
        ["clip", "--freeze-text"],
        ["clip", "--judge"],
        ["denoiser", "--samples", 1],
    ):
        stage(name, *common_options, "--run", more, "--init", tmp_path / "emoji", *options)
    before, after = (
        CLIPModel.from_pretrained(folder / "clip") for folder in (tmp_path / "emoji", more)
    )
    assert same(before.text_model, after.text_model)
    assert not same(before.vision_model, after.vision_model)
    rows = [json.loads(line) for line in (more / "denoiser.jsonl").read_text().splitlines()]
    assert all({"stage", "step", "samples", "minutes", "loss"} <= set(row) for row in rows)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_a_stage_resumes_where_it_stopped(tmp_path: Path) -> None:
    stage("tokenizer", "--out", tmp_path / "tokenizer")
    options = ("--run", tmp_path, "--batch", 2, "--device", "cpu", "--minutes")
    stage("clip", *options, MINUTES)
    first = torch.load(tmp_path / "clip.ckpt", weights_only=True)
    stage("clip", *options, 2 * MINUTES)
    second = torch.load(tmp_path / "clip.ckpt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert second["minutes"] > first["minutes"]


@pytest.mark.parametrize("preset", ["small", "full"])
def test_the_autoencoder_folds_patches_and_loses_nothing(preset: str) -> None:
    _, pixels = common.batch(common.scenes(preset, 1), 8, preset)
    model = autoencoder.build(preset).half().float()
    pictures = pixels / 127.5 - 1
    with torch.no_grad():
        codes = model.encode(pictures).latents
        back = model.decode(codes).sample
    latents = codes * autoencoder.SCALING_FACTOR
    assert latents.shape == (8, 48, pictures.shape[-1] // 4, pictures.shape[-1] // 4)
    torch.testing.assert_close(latents, autoencoder.latents_of(pixels), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(back, pictures, rtol=0, atol=1e-3)  # an eighth of a grey level
    assert 0.5 < latents.square().mean() < 2


def test_the_autoencoder_says_when_it_is_too_shallow_to_count_its_columns() -> None:
    model = autoencoder.build("small")
    with pytest.raises(ValueError, match="count 10 columns, not 16"):
        patches.unfold(model.decoder, columns=16)


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    clock = common.Clock(minutes=10)
    rates = {}
    for spent in (0.0, 0.15, 3.0, 7.5, 10.0):
        clock.start = common.time.monotonic() - spent * 60
        rates[spent] = clock.rate(1.0)
    assert rates[0.0] < rates[0.15] < rates[3.0] == 1.0 > rates[7.5] > rates[10.0]
    assert rates[10.0] < 1e-6


def test_the_layouts_that_the_heads_name() -> None:
    """A fox left of a pig: how many of each, who is where from whom, and which cell is whose."""
    scene = Scene("white", (Item("fox", 0, 4, 12), Item("pig", 20, 4, 9)))
    sprites = ("pig", "fox", "cat")
    named = clip.layout(scene, sprites)
    assert named.tolist() == [
        [0.5, 1, 0],
        [0.5, -1, 0],
        [0, 0, 0],
    ]  # the pig is right, the fox left
    cells = denoiser.layout(scene, sprites, 4)  # middles of cells at 4, 12, 20 and 28 units
    assert cells.tolist() == [[2, 0, 1, 1], [2, 0, 1, 1], [0] * 4, [0] * 4]
