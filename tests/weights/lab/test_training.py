"""Every training stage runs, resumes, trains on from shipped weights, and makes a folder that stock diffusers loads."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from transformers import CLIPModel, CLIPTokenizer

from clipcond import Conditioner, emoji
from clipcond.clip.training.building import build_clip, start_clip
from clipcond.clip.training.checkpointing import Checkpoints
from clipcond.clip.training.towers import Compared
from clipcond.clip.training.vocabulary import learn
from clipcond.emoji.scenes import Item, Scene
from weights.lab.reports import ROOT
from weights.lab.train import (
    autoencoder,
    clip,
    common,
    compose,
    data,
    denoiser,
    patches,
    plan,
    reading,
    transfer,
)

MINUTES = 0.05


def stage(name: str, *options: str | Path) -> str:
    """Run one stage as a user would; what it printed."""
    command = [sys.executable, "-m", f"weights.lab.train.{name}", *map(str, options)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["small", "full"])
def test_all_stages_run_end_to_end(preset: str, tmp_path: Path) -> None:
    run = tmp_path / preset
    world = ("--preset", preset, "--run", run)
    common_options = (*world, "--minutes", MINUTES, "--batch", 2, "--device", "cpu")
    for name, *more in (
        ["tokenizer"],
        ["clip"],
        ["clip", "--judge", "--seed", "1"],
        ["autoencoder"],
        ["denoiser", "--samples", 1],
    ):
        stage(name, *common_options, *more)
    stage("assemble", *world, "--out", tmp_path / "emoji", "--judge", tmp_path / "judge")
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "emoji")
    image = pipe("a fox", num_inference_steps=1).images[0]
    assert image.width == emoji.world.PRESETS[preset].size
    shipped = [f for part in ("emoji", "judge") for f in (tmp_path / part).rglob("*.*")]
    assert sum(file.stat().st_size for file in shipped) <= 40e6
    settings = [file.read_text() for file in shipped if file.suffix == ".json"]
    assert not [
        text for text in settings if str(tmp_path) in text or '"pad_to_multiple_of": 11' in text
    ]
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
    stage("tokenizer", "--run", tmp_path)
    options = ("--run", tmp_path, "--batch", 2, "--device", "cpu", "--minutes", 2 * MINUTES)
    stage("clip", *options, "--call-minutes", MINUTES)
    assert (tmp_path / "clip").is_dir()
    checkpoints = Checkpoints(tmp_path / "clip-training", 1)
    first = checkpoints.newest()
    assert first.minutes < 2 * MINUTES
    stage("clip", *options)
    second = checkpoints.newest()
    assert second.step > first.step > 0
    assert second.minutes > first.minutes


@pytest.fixture(scope="module")
def autoencoders() -> dict[str, AutoencoderTiny]:
    """As they load: from half precision."""
    return {
        preset: autoencoder.build(preset).half().float() for preset in ("small", "medium", "full")
    }


@pytest.mark.parametrize(("preset", "mse"), [("small", 1e-7), ("medium", 8e-4), ("full", 2e-3)])
def test_the_autoencoder_keeps_what_its_code_keeps(
    autoencoders: dict[str, AutoencoderTiny], preset: str, mse: float
) -> None:
    model, pictures = autoencoders[preset], autoencoder.pictures(preset, 10_000, 3)
    with torch.no_grad():
        latents = model.encode(pictures).latents * model.config.scaling_factor
    side = pictures.shape[-1] // autoencoder.FOLD[preset]
    assert latents.shape == (3, autoencoder.LATENT_CHANNELS[preset], side, side)
    pixels = ((pictures + 1) * 127.5).round().to(torch.uint8)
    torch.testing.assert_close(latents, autoencoder.latents_of(model, pixels), rtol=1e-3, atol=1e-3)
    assert 0.5 < latents.square().mean() < 2
    found = autoencoder.quality(model, preset, 3)
    assert found["mse"] < mse
    assert found["read_back"] == 1


def test_the_decoder_inverts_the_code_to_a_grey_level(
    autoencoders: dict[str, AutoencoderTiny],
) -> None:
    """Projecting twice changes nothing, so what it loses, it loses once: the rest is the weights' half precision."""
    once = autoencoder.decoded(autoencoders["full"], autoencoder.pictures("full", 10_000, 1))
    inner = once.abs().amax(1, keepdim=True) < 0.9  # where the decoder's clamp at black is far
    twice = autoencoder.decoded(autoencoders["full"], once)
    assert ((twice - once).abs() * inner).mean() < 1 / 127.5


def test_the_autoencoder_says_when_it_is_too_shallow_to_count_its_columns(
    autoencoders: dict[str, AutoencoderTiny],
) -> None:
    with pytest.raises(ValueError, match="count 10 columns, not 16"):
        patches.unfold(autoencoders["small"].decoder, patches.identity_code(), columns=16)


@pytest.mark.parametrize("preset", ["small", "medium", "full"])
def test_the_composer_draws_what_the_renderer_draws(preset: str) -> None:
    scenes = [emoji.sample(seed, preset) for seed in range(12)]
    drawn = compose.Composer(preset, zooms=False)(
        stacked([compose.plain(s, preset) for s in scenes])
    )
    size = emoji.world.PRESETS[preset].size
    wanted = np.stack([emoji.render_array(scene, size) for scene in scenes])
    assert np.abs(drawn.permute(0, 2, 3, 1).numpy().astype(int) - wanted).max() <= 1


def test_a_varied_picture_is_the_scene_at_another_scale_and_place() -> None:
    """A lone square: its area says the zoom, and none of it is lost."""
    scene = Scene("white", (Item("black square", 12, 12, 8 + 1),))
    rng = np.random.default_rng(0)
    layouts = [compose.varied(scene, "small", rng) for _ in range(200)]
    drawn = compose.Composer("small", zooms=True)(stacked(layouts)).float()
    dark = (drawn.mean(1) < 150).float()
    sides = {round(float(area) ** 0.5) for area in dark.sum((1, 2))}
    assert sides == {round(9 * zoom) for zoom in compose.ZOOMS}
    backgrounds = {tuple(layout.background.tolist()) for layout in layouts}
    assert len(backgrounds) > 50
    assert len({tuple(layout.tiles[0, 1:].tolist()) for layout in layouts}) > 20


def test_two_things_are_never_zoomed() -> None:
    scene = Scene("white", (Item("black square", 0, 4, 12), Item("red square", 20, 4, 9)))
    rng = np.random.default_rng(0)
    layouts = [compose.varied(scene, "small", rng) for _ in range(50)]
    drawn = compose.Composer("small", zooms=True)(stacked(layouts)).float()
    dark = (drawn.amax(1) < 100).sum((1, 2))
    assert dark.unique().numel() == 1


def stacked(layouts: list[compose.Layout]) -> compose.Layout:
    parts = zip(*layouts, strict=True)
    return compose.Layout(*(torch.from_numpy(np.stack(part)) for part in parts))


def test_batches_come_the_same_from_a_seed_and_differ_between_workers() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(ROOT / "weights" / "emoji" / "tokenizer")
    args = argparse.Namespace(preset="small", seed=0, batch=6, plain=False)
    batches = clip.batches(args, tokenizer, 0)
    one, again = (next(iter(batches)) for _ in range(2))
    assert torch.equal(one.tokens, again.tokens)
    assert torch.equal(one.layout.tiles, again.layout.tiles)
    assert one.tokens.shape[-1] % reading.TOKEN_STEP == 0
    assert one.target.shape == (6, 38, 6)
    worked = next(iter(DataLoader(batches, batch_size=None, num_workers=1)))
    assert torch.equal(worked.tokens, one.tokens)
    assert torch.equal(worked.layout.tiles, one.layout.tiles)
    assert next(data.scenes("small", 1, worker=0)) != next(data.scenes("small", 1, worker=1))


@pytest.mark.parametrize(
    ("preset", "most"), [("small", 0.45e9), ("medium", 0.45e9), ("full", 1.5e9)]
)
def test_a_denoiser_forward_is_cheap(preset: str, most: float) -> None:
    assert plan.denoiser_flops(preset) <= most


def test_long_captions_fill_windows_as_a_pipelines_do() -> None:
    pipe = StableDiffusionPipeline.from_pretrained(ROOT / "weights" / "emoji")
    clip_model = CLIPModel.from_pretrained(ROOT / "weights" / "emoji" / "clip")
    states = reading.TextStates(clip_model, torch.device("cpu"))
    text = "a fox and a car " * 20
    ours = states(reading.Windows(pipe.tokenizer)([text, "a fox"], 2))
    conditioning = Conditioner.from_pipeline(pipe)([text, "a fox"])
    assert ours.shape == conditioning.prompt_embeds.shape == (2, 154, 128)
    cosine = torch.cosine_similarity(ours.float(), conditioning.prompt_embeds, dim=-1)
    assert cosine.min() > 0.99  # bfloat16 beside float32
    with pytest.raises(ValueError, match="tokens in 1 windows"):
        reading.Windows(pipe.tokenizer)([text], 1)


def test_a_clip_carried_over_reads_an_enlarged_picture_and_known_words_as_before() -> None:
    old = start_clip(ROOT / "weights" / "emoji" / "clip")
    tokenizer = learn([*emoji.tasks()["counting"], "a zebra, a zebra"], 1000)
    new = build_clip(clip.SIZES["medium"], tokenizer, 0)
    transfer.transfer_clip(old, new)
    small = torch.randn(2, 3, 32, 32)
    large = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    with torch.no_grad():
        torch.testing.assert_close(
            new.model.get_image_features(large).pooler_output,
            old.model.get_image_features(small).pooler_output,
            rtol=1e-4,
            atol=1e-4,
        )
    rows = [c.model.text_model.embeddings.token_embedding.weight for c in (old, new)]
    at = [c.tokenizer.convert_tokens_to_ids("two</w>") for c in (old, new)]
    assert torch.equal(rows[0][at[0]], rows[1][at[1]])
    assert at[0] != at[1]


def test_a_denoiser_carried_over_draws_what_it_drew_enlarged(
    autoencoders: dict[str, AutoencoderTiny],
) -> None:
    old = UNet2DConditionModel.from_pretrained(ROOT / "weights" / "emoji" / "unet").float()
    vaes = {
        "small": AutoencoderTiny.from_pretrained(ROOT / "weights" / "emoji" / "vae").float(),
        "medium": autoencoders["medium"],
    }
    new = denoiser.build("medium", 128)
    transfer.transfer_denoiser(old, new, vaes["small"], vaes["medium"])
    large = autoencoder.pictures("medium", 10_000, 2)
    seen = {"medium": large, "small": torch.nn.functional.avg_pool2d(large, 2)}
    drawn = {}
    with torch.no_grad():
        for preset, unet in (("small", old), ("medium", new)):
            vae = vaes[preset]
            latents = vae.encode(seen[preset]).latents * vae.config.scaling_factor
            clean = unet(latents, torch.tensor(100.0), torch.ones(2, 77, 128)).sample
            drawn[preset] = vae.decode(clean / vae.config.scaling_factor).sample
    enlarged = torch.nn.functional.interpolate(drawn["small"], scale_factor=2)
    assert (drawn["medium"] - enlarged).abs().mean() < 0.1 * enlarged.std()


def test_the_plan_says_what_the_minutes_give(tmp_path: Path) -> None:
    log = tmp_path / "clip.jsonl"
    rows = [{"pictures_per_second": rate} for rate in (5, 1500, 3000)]
    log.write_text("\n".join(map(json.dumps, rows)))
    assert plan.pictures_per_second(log) == pytest.approx(2000)
    rates = {"clip": 2000.0, "judge": 2000.0, "denoiser": 1000.0}
    costs = {"clip": 10**9, "judge": 10**9, "denoiser": 10**9}
    rows = plan.plan(rates, costs, peak=30e12, minutes=20.0)
    printed = table_text(plan.table(rows, 20.0))
    assert "20.0 %" in printed  # 2000 pictures/s x 3 GFLOP of 30 TFLOP/s
    assert "660,000" in printed  # 11 minutes of the denoiser's 1000 pictures/s
    with pytest.raises(SystemExit, match="--measure"):
        plan.pictures_per_second(tmp_path / "denoiser.jsonl")


def table_text(table: Table) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.slow
def test_one_command_trains_everything(tmp_path: Path) -> None:
    options = ("--run", tmp_path, "--batch", 2, "--device", "cpu", "--samples", 1)
    stage("run", "--minutes", 4 * MINUTES, "--stage", "clip", *options[:-2])
    stage("run", "--minutes", 4 * MINUTES, "--stage", "judge", *options[:-2])
    stage("run", "--minutes", 4 * MINUTES, "--stage", "denoiser", *options)
    stage("run", "--minutes", 4 * MINUTES, "--stage", "assemble", "--run", tmp_path)
    StableDiffusionPipeline.from_pretrained(tmp_path / "shipped" / "emoji")
    CLIPModel.from_pretrained(tmp_path / "shipped" / "judge")


def test_the_rate_warms_up_by_steps_holds_and_falls_to_zero_by_the_clock() -> None:
    clock = common.Clock(minutes=10)
    assert clock.rate(1.0) == pytest.approx(1 / common.WARMUP_STEPS)
    clock.step = common.WARMUP_STEPS // 2 - 1
    assert clock.rate(1.0) == pytest.approx(0.5)
    clock.step, rates = 1000, {}
    for spent in (3.0, 7.5, 10.0):
        clock.start = common.time.monotonic() - spent * 60
        rates[spent] = clock.rate(1.0)
    assert rates[3.0] == 1.0 > rates[7.5] > rates[10.0]
    assert rates[10.0] < 1e-6


def test_so_many_steps_end_it_whatever_the_clock_says() -> None:
    clock = common.Clock(minutes=0.001, spent=100, steps=1000, step=250)
    assert (clock.progress, clock.rate(1.0)) == (0.25, 1.0)
    clock.step = 1000
    assert (clock.progress, clock.rate(1.0)) == (1.0, 0.0)


def test_the_heads_leave_the_towers_to_the_contrast_at_first() -> None:
    heads = clip.LayoutHeads(16, 235)
    image, text = (torch.randn(4, 16, requires_grad=True) for _ in range(2))
    target = torch.randn(4, 235, 6)
    read = heads(Compared(image, text, torch.tensor(1.0), None), target)
    assert read.item() == pytest.approx(2 * target.square().sum().item())
    read.backward()
    assert not image.grad.any()
    assert not text.grad.any()
    assert heads.image.weight.grad.any()


def test_the_layouts_that_the_heads_name() -> None:
    """A fox left of a pig: how many of each, how large, who is where from whom, and which cell is whose."""
    scene = Scene("white", (Item("fox", 0, 4, 12), Item("pig", 20, 4, 9)))
    sprites = ("pig", "fox", "cat")
    named = clip.layout(scene, sprites)
    assert named.tolist() == [
        [0.5, -1, 1, 0, 0, 0],
        [0.5, 0, -1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]  # the pig is small and right, the fox left
    three = Scene("white", (*scene.items, Item("cat", 20, 20, 8)))
    places = clip.layout(three, sprites)[:, 2:]
    np.testing.assert_allclose(
        places, [[0, 0, 0.53125, -0.46875], [0, 0, -0.625, -0.375], [0, 0, 0.5, 0.5]]
    )
    cells = denoiser.layout(scene, sprites, 4)  # middles of cells at 4, 12, 20 and 28 units
    assert cells.tolist() == [[2, 0, 1, 1], [2, 0, 1, 1], [0] * 4, [0] * 4]
