"""Preference models: the published formulae on random weights, and heads that are none."""

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import clipcond
from clipcond.errors import CheckpointError, ScoreError
from clipcond.score import AestheticScorer, ClipScorer, Mixture, PreferenceScorer
from tests.clip.openai_model import openai_clip, save_archive
from tests.score.test_measures import pictures
from tests.tiny import clip_tokenizer, save_tiny_clip, tiny_clip

PROMPT = "a red fox"


def original_head(seed=0):
    """The layers of the published predictor (improved-aesthetic-predictor), for features of 32 numbers."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(32, 24), torch.nn.Dropout(0.2),
        torch.nn.Linear(24, 12), torch.nn.Dropout(0.2),
        torch.nn.Linear(12, 8), torch.nn.Dropout(0.1),
        torch.nn.Linear(8, 4),
        torch.nn.Linear(4, 1),
    ).eval()  # fmt: skip


def state_dict(head):
    return {f"layers.{name}": tensor for name, tensor in head.state_dict().items()}


@pytest.mark.parity
def test_pickscore_is_the_model_cards_code(scorer):
    model, tokenizer, processor = tiny_clip()
    with torch.no_grad():
        images = model.get_image_features(
            **processor(pictures(), return_tensors="pt")
        ).pooler_output
        text = model.get_text_features(
            **tokenizer([PROMPT], padding=True, return_tensors="pt")
        ).pooler_output
        images = images / torch.norm(images, dim=-1, keepdim=True)
        text = text / torch.norm(text, dim=-1, keepdim=True)
        scores = model.logit_scale.exp() * (text @ images.T)[0]
    picked = PreferenceScorer(scorer, "pickscore")
    assert torch.allclose(picked.score(pictures(), PROMPT).values, scores, atol=1e-4)
    assert torch.allclose(picked.probabilities(pictures(), PROMPT), scores.softmax(-1), atol=1e-4)


@pytest.mark.parity
def test_hpsv2_is_the_plain_cosine(scorer):
    # img_score.py: torch.diagonal(image_features @ text_features.T) of normalised features
    square = [picture.crop((0, 0, 32, 32)) for picture in pictures()]
    values = PreferenceScorer(scorer, "hpsv2").score(square, PROMPT)
    assert torch.allclose(values.values, scorer.similarity(square, PROMPT)[:, 0], atol=1e-6)
    assert values.provenance["variant"]["name"] == "hpsv2"


def hps_pixels(picture, size, mean, std):
    """ResizeMaxSize of HPS v2's open_clip copy after ToTensor, then Normalize: here in numpy and Pillow's floats."""
    levels = np.asarray(picture.convert("RGB"), np.float32) / 255
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    filled = np.zeros((size, size, 3), np.float32)
    pad_w, pad_h = size - width, size - height
    for channel in range(3):
        plane = Image.fromarray(levels[..., channel])
        filled[pad_h // 2 : pad_h // 2 + height, pad_w // 2 : pad_w // 2 + width, channel] = (
            plane.resize((width, height), Image.Resampling.BICUBIC)
        )
    return torch.from_numpy((filled - np.float32(mean)) / np.float32(std)).permute(2, 0, 1)[None]


HPS_SIZES = [(160, 90), (90, 160), (64, 64), (32, 18), (19, 7), (200, 3), (33, 32), (500, 1)]


@pytest.mark.parity
@pytest.mark.parametrize("crop", ["center", "pad"])
def test_hpsv2_fits_the_longer_side_and_fills_black(crop, tmp_path):
    folder = save_tiny_clip(tmp_path / "tiny")
    judge = PreferenceScorer(ClipScorer.from_pretrained(folder, crop=crop), "hpsv2")
    model, tokenizer, processor = tiny_clip()
    rng = np.random.default_rng(0)
    several = [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in HPS_SIZES
    ]
    with torch.no_grad():
        text = model.get_text_features(**tokenizer([PROMPT], return_tensors="pt")).pooler_output
        pixels = [
            hps_pixels(picture, 32, processor.image_mean, processor.image_std)
            for picture in several
        ]
        images = model.get_image_features(pixel_values=torch.cat(pixels)).pooler_output
        theirs = torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(text)[0]
    ours = judge.score(several, PROMPT)
    assert torch.allclose(ours.values, theirs, atol=1e-5)
    assert "black" in ours.provenance["crop"]
    assert "longest edge to 32" in ours.provenance["preprocessing"]["resize"]
    seen = torch.cat([judge.scorer.clip.preprocessing.views(picture) for picture in several])
    assert torch.allclose(seen, torch.cat(pixels), atol=1e-4)


@pytest.mark.parity
def test_the_aesthetic_head_is_the_published_one(scorer, tmp_path):
    head = original_head()
    with torch.no_grad():
        theirs = head(scorer.image_features(pictures()))[:, 0]
    torch.save(state_dict(head), tmp_path / "head.pth")
    save_file(state_dict(head), tmp_path / "head.safetensors")
    for given in (state_dict(head), tmp_path / "head.pth", str(tmp_path / "head.safetensors")):
        ours = AestheticScorer(scorer, given)
        assert torch.allclose(ours.score(pictures()).values, theirs, atol=1e-6)
    other = AestheticScorer(scorer, state_dict(original_head(1))).score(pictures())
    digests = {s.provenance["head_sha256"] for s in (other, ours.score(pictures()))}
    assert len(digests) == 2


def relu_head(width=32, seed=2):
    """ava+logos-l14-reluMSE: train_predictor.py with its ReLUs."""
    torch.manual_seed(seed)
    relu, drop = torch.nn.ReLU, torch.nn.Dropout
    return torch.nn.Sequential(
        torch.nn.Linear(width, 24), relu(), drop(0.2),
        torch.nn.Linear(24, 12), relu(), drop(0.2),
        torch.nn.Linear(12, 8), relu(), drop(0.1),
        torch.nn.Linear(8, 4), relu(),
        torch.nn.Linear(4, 1),
    ).eval()  # fmt: skip


@pytest.mark.parity
def test_the_head_with_relus_is_told_by_its_numbers(scorer):
    head = relu_head()
    with torch.no_grad():
        theirs = head(scorer.image_features(pictures()))[:, 0]
    ours = AestheticScorer(scorer, state_dict(head)).score(pictures()).values
    assert torch.allclose(ours, theirs, atol=1e-6)
    linear = torch.nn.Sequential(*(m for m in head if isinstance(m, torch.nn.Linear)))
    with torch.no_grad():
        assert not torch.allclose(ours, linear(scorer.image_features(pictures()))[:, 0], atol=1e-3)


@pytest.mark.parity
def test_the_first_predictor_is_one_linear_layer(scorer, tmp_path):
    torch.manual_seed(3)
    head = torch.nn.Linear(32, 1)
    torch.save(head.state_dict(), tmp_path / "sa_0_4_vit_l_14_linear.pth")
    with torch.no_grad():
        theirs = head(scorer.image_features(pictures()))[:, 0]
    ours = AestheticScorer(scorer, tmp_path / "sa_0_4_vit_l_14_linear.pth").score(pictures())
    assert torch.allclose(ours.values, theirs, atol=1e-6)
    with pytest.raises(CheckpointError, match="takes features of 768 numbers but this CLIP has 32"):
        AestheticScorer(scorer, torch.nn.Linear(768, 1).state_dict())


def test_a_head_in_whatever_wrapping(scorer, tmp_path):
    plain = state_dict(relu_head())
    theirs = AestheticScorer(scorer, plain).score(pictures())
    wrapped = [
        {"state_dict": plain, "epoch": 3},
        {"model": {f"module.{name}": tensor for name, tensor in plain.items()}},
        {f"module.{name}": tensor for name, tensor in plain.items()},
        {"state_dict": {f"model.{name}": tensor for name, tensor in plain.items()}},
        relu_head().state_dict(),  # without "layers."
        dict(relu_head().named_parameters()),
    ]
    for head in wrapped:
        torch.save(head, tmp_path / "head.pth")
        for given in (head, tmp_path / "head.pth"):
            ours = AestheticScorer(scorer, given).score(pictures())
            assert torch.equal(ours.values, theirs.values)
            assert ours.provenance == theirs.provenance
    half = AestheticScorer(scorer, {name: tensor.half() for name, tensor in plain.items()})
    assert torch.allclose(half.score(pictures()).values, theirs.values, atol=1e-2)


def test_a_head_on_a_resnet(tmp_path):
    save_archive(openai_clip("resnet"), tmp_path / "rn.pt")
    resnet = ClipScorer.from_pretrained(tmp_path / "rn.pt", tokenizer=clip_tokenizer())
    width = resnet.image_features(pictures()).shape[1]
    head = relu_head(width)
    with torch.no_grad():
        theirs = head(resnet.image_features(pictures()))[:, 0]
    ours = AestheticScorer(resnet, state_dict(head)).score(pictures()).values
    assert torch.allclose(ours, theirs, atol=1e-6)
    with pytest.raises(CheckpointError, match=f"768 numbers but this CLIP has {width}"):
        AestheticScorer(resnet, state_dict(relu_head(768)))


def renumbered(numbers):
    layers = [m for m in relu_head() if isinstance(m, torch.nn.Linear)]
    return {
        f"layers.{number}.{name}": tensor
        for number, layer in zip(numbers, layers, strict=True)
        for name, tensor in layer.state_dict().items()
    }


def test_a_head_whose_numbers_do_not_tell_what_it_computes_is_refused(scorer):
    plain = state_dict(original_head())
    for numbers in [(0, 1, 2, 3, 4), (0, 2, 4, 6, 8), (0, 3, 6, 9, 12), (1, 3, 5, 7, 8)]:
        found = ", ".join(map(str, numbers))
        with pytest.raises(
            CheckpointError, match=f"has linear layers {found}, which does not tell"
        ):
            AestheticScorer(scorer, renumbered(numbers))
    for changed, quote in [
        ({"linear.weight": torch.ones(1, 32), "linear.bias": torch.ones(1)}, "holds linear.weight"),
        ({**plain, "layers.1.running_mean": torch.ones(24)}, "no aesthetic head"),
        ({**plain, "module.layers.0.weight": torch.ones(24, 32)}, "no aesthetic head"),
        ({**plain, 3: 4}, "no aesthetic head"),
        ({**plain, "layers.0.bias": torch.ones(24).int()}, "layers.0.bias is no float"),
        ({**plain, "layers.0.bias": torch.full((24,), torch.nan)}, "NaN"),
        ({**plain, "layers.0.bias": torch.ones(25)}, "do not follow on each other"),
        ({**plain, "layers.0.weight": torch.ones(24)}, "do not follow on each other"),
    ]:
        with pytest.raises(CheckpointError, match=quote):
            AestheticScorer(scorer, changed)


def test_they_rerank_alone_and_mixed(scorer):
    several = pictures(9)
    aesthetic = AestheticScorer(scorer, state_dict(original_head()))
    alone = clipcond.rerank(several, PROMPT, aesthetic, top_k=3)
    values = aesthetic.score(several).values
    assert list(alone.order) == values.argsort(descending=True)[:3].tolist()
    mixed = Mixture([PreferenceScorer(scorer, "pickscore"), aesthetic])
    assert len(clipcond.rerank(several, PROMPT, mixed, top_k=3, diversity=0.5).order) == 3


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_heads_that_are_none(scorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"layers.0.weight": Evil()}, protocol=2))
    torch.save([1], tmp_path / "list.pth")
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    good = state_dict(original_head())
    cases = [
        (tmp_path / "evil.pth", "evil.pth: not a file of tensors"),
        (tmp_path / "cut.pth", "cut.pth: not a file of tensors"),
        (tmp_path / "none.pth", "none.pth: no such file"),
        (tmp_path / "none.safetensors", "none.safetensors"),
        (tmp_path / "list.pth", "holds list"),
        ({}, "head: no aesthetic head: holds nothing"),
        ({"fc.weight": torch.ones(1)}, "holds fc.weight"),
        ({k: v for k, v in good.items() if k != "layers.2.bias"}, "lacks 'layers.2.bias'"),
        ({k: v for k, v in good.items() if "layers.2." not in k}, "do not follow on each other"),
        (
            {k: v for k, v in good.items() if "layers.0." not in k},
            "24 numbers but this CLIP has 32",
        ),
    ]
    for head, quote in cases:
        with pytest.raises(CheckpointError, match=quote):
            AestheticScorer(scorer, head)
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(ScoreError, match="formula: got 'hps'; choose one of pickscore, hpsv2"):
        PreferenceScorer(scorer, "hps")
