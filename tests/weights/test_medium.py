"""The medium world's CLIPs tell a scene from its near misses and name lone things; its denoiser draws."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTokenizer

from clipcond import ClipScorer, emoji
from clipcond.emoji.captions import compose
from clipcond.emoji.misses import MISSES
from clipcond.emoji.scenes import draw
from clipcond.emoji.world import PRESETS
from weights.lab.evaluate import clip_accuracy
from weights.lab.reports import WEIGHTS
from weights.lab.train import autoencoder
from weights.lab.train.pipeline import pipeline

EACH = 12


def pairs(kind: str, rng: np.random.Generator) -> list[emoji.Scene]:
    """Scenes, each followed by its near miss."""
    found: list[emoji.Scene] = []
    while len(found) < 2 * EACH:
        scene = draw(rng, PRESETS["medium"])
        missed = MISSES[kind](scene, rng, PRESETS["medium"])
        if missed is not None:
            found += [scene, missed]
    return found


@pytest.mark.parametrize("folder", ["clip", "judge"])
def test_each_near_miss_is_told_apart(folder: str) -> None:
    scorer = ClipScorer.from_pretrained(WEIGHTS / "medium" / folder)
    rng = np.random.default_rng(0)
    scenes = [scene for kind in MISSES for scene in pairs(kind, rng)]
    flags = dict(with_relation=True, with_background=True, with_places=True)
    captions = [compose(scene, rng, **flags) for scene in scenes]
    table = scorer.similarity([emoji.render(scene, 64) for scene in scenes], captions).numpy()
    own = np.arange(0, len(scenes), 2)
    right = (table[own, own] > table[own, own + 1]) & (table[own, own] > table[own + 1, own])
    shares = right.reshape(len(MISSES), EACH).mean(1)
    assert dict(zip(MISSES, shares, strict=True)) == pytest.approx(dict.fromkeys(MISSES, 1.0), abs=0.2)  # fmt: skip
    assert right.mean() >= 0.97


@pytest.mark.parametrize("folder", ["clip", "judge"])
def test_a_lone_thing_is_named_at_any_size(folder: str) -> None:
    found = clip_accuracy(ClipScorer.from_pretrained(WEIGHTS / "medium" / folder), "medium")
    assert found["zero_shot_top1"]["mean"] >= 0.97
    assert found["caption_to_image_recall1"]["mean"] >= 0.95


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of an autoencoder that is no AutoencoderKL
def test_its_denoiser_draws_what_is_asked(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "medium" / "clip", tmp_path / "clip")
    CLIPTokenizer.from_pretrained(tmp_path / "clip").save_pretrained(tmp_path / "tokenizer")
    autoencoder.build("medium").save_pretrained(tmp_path / "vae")
    unet = UNet2DConditionModel.from_pretrained(WEIGHTS / "medium" / "unet").float()
    pipe = pipeline(tmp_path, unet)
    prompts = [prompt for name in ("single object", "position") for prompt in emoji.tasks("medium")[name][:8]]  # fmt: skip
    generators = [torch.Generator().manual_seed(0) for _ in prompts]
    images = pipe(prompts, num_inference_steps=20, guidance_scale=3.0, generator=generators).images
    right = [emoji.verdicts([i], p, "medium")[0] for i, p in zip(images, prompts, strict=True)]
    assert images[0].size == (64, 64)
    assert sum(map(bool, right)) >= 12
