"""Preference models: the published formulae on random weights, and heads that are none."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

import clipcond
from clipcond.errors import CheckpointError, ScoreError
from clipcond.score import AestheticScorer, ClipScorer, Mixture, PreferenceScorer
from tests.score.test_measures import pictures
from tests.tiny import save_tiny_clip, tiny_clip

PROMPT = "a red fox"


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    return ClipScorer.from_pretrained(save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny"))


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
    values = PreferenceScorer(scorer, "hpsv2").score(pictures(), PROMPT)
    assert torch.allclose(values.values, scorer.similarity(pictures(), PROMPT)[:, 0], atol=1e-6)
    assert values.provenance["variant"]["name"] == "hpsv2"


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
