"""Training on a device: GradCache's random numbers, bfloat16, every step from nothing, going on."""

import copy

import pytest
import torch
from PIL import Image

from clipcond.clip import load_clip
from clipcond.clip.training import gradcache, train
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.building import build_clip, start_clip
from clipcond.clip.training.losses import LOSSES
from clipcond.clip.training.norms import synchronise
from clipcond.clip.training.towers import Compared, Towers

pytestmark = pytest.mark.gpu
ROWS = 12


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i, color in enumerate(("red", "green", "blue", "white", "black", "gray") * 6):
        Image.new("RGB", (40, 40), color).save(folder / f"a_{color}_heart-{i}.png")
    return folder


def towers_on(device, preset):
    clip = start_clip("emoji")
    if preset == "resnet":
        clip = build_clip("tiny-resnet", clip.tokenizer, 0)
    towers = Towers(clip, bias=-5.0).to(device).train()
    for part in towers.modules():
        if type(part).__name__ == "CLIPMLP":
            part.fc2 = torch.nn.Sequential(part.fc2, torch.nn.Dropout(0.3))
    synchronise(towers)
    return towers


def batch_on(device, side):
    made = torch.Generator().manual_seed(0)
    numbers = torch.arange(ROWS)
    return Batch(
        pixels=torch.randn(ROWS, 3, side, side, generator=made),
        tokens=torch.randint(0, 500, (ROWS, 8), generator=made),
        ends=torch.full((ROWS,), 7),
        pictures=numbers,
        captions=numbers,
    ).to(device)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_dropout_drops_the_same_in_both_forwards(device, kind, name):
    towers, batch = towers_on(device, kind), batch_on(device, 32 if kind == "vit" else 64)
    other = copy.deepcopy(towers)
    torch.manual_seed(1)
    loss = gradcache.backward(towers, batch, LOSSES[name], chunk=4)
    torch.manual_seed(1)
    seen = [other(part.pixels, part.tokens, part.ends) for part in batch.parts(3)]
    image, text = (torch.cat([getattr(each, side) for each in seen]) for side in ("image", "text"))
    expected = LOSSES[name](
        Compared(image, text, seen[-1].scale, seen[-1].bias), batch.pictures, batch.captions
    )
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    for (key, one), two in zip(towers.named_parameters(), other.parameters(), strict=True):
        if two.grad is not None:
            assert torch.allclose(
                one.grad, two.grad, atol=2e-3 * two.grad.abs().max().item() + 1e-5
            ), key


@pytest.mark.parametrize("preset", ["tiny", "tiny-resnet"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_can_be_learnt_is_learnt(device, pictures, tmp_path, preset, precision):
    result = train(
        pictures, tmp_path / "out", preset=preset, steps=30, batch=24, chunk=12, precision=precision, held_out=0.3,
        log_steps=5, crop=1, ema=0.9, device=device.type,
    )  # fmt: skip
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert losses[-1] < losses[0]
    assert load_clip(result.folder).digest == result.digest


def test_going_on_gets_to_the_end(device, pictures, tmp_path):
    told = dict(preset="tiny", batch=12, device=device.type, save_steps=2, held_out=0)
    train(pictures, tmp_path / "out", steps=4, **told)
    again = train(pictures, tmp_path / "out", steps=4, resume=True, **told)
    assert again.steps == 4
    assert again.finished
