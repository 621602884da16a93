"""Scores: equal to transformers' CLIP, independent of batching, and honest about long prompts."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcond.errors import ScoreError
from clipcond.score import ClipScorer
from tests.tiny import tiny_clip, tiny_pipeline

PROMPTS = ["a cat", "a red fox to the left of a blue ball", "two yellow hearts", "dog", ""]


def pictures(n, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [(32, 32), (40, 64), (77, 33), (16, 16), (100, 35)]
    return [
        Image.fromarray(rng.integers(0, 256, (*sizes[i % len(sizes)], 3), dtype=np.uint8))
        for i in range(n)
    ]


@pytest.mark.pitfall(25)
@pytest.mark.parity
def test_similarity_is_transformers_logits_over_their_scale(scorer):
    model, tokenizer, processor = tiny_clip()
    images = pictures(5)
    inputs = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    pixels = processor(images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        logits = model(**inputs, pixel_values=pixels).logits_per_image
        theirs = logits / model.logit_scale.exp()
    assert torch.allclose(scorer.similarity(images, PROMPTS), theirs, atol=1e-6)


@given(n=st.integers(1, 9), batch_size=st.integers(1, 10), seed=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_pairs_are_the_diagonal_at_any_batch_size(scorer, n, batch_size, seed):
    images = pictures(n, seed)
    prompts = [PROMPTS[i % len(PROMPTS)] for i in range(n)]
    small = ClipScorer(scorer.clip, batch_size=batch_size)
    pairs = small.score(images, prompts).values
    assert pairs.dtype == torch.float32
    assert torch.allclose(pairs, scorer.similarity(images, prompts).diagonal(), atol=1e-5)
    assert bool((pairs.abs() <= 1 + 1e-6).all())


def test_variants_are_their_formulas(scorer):
    images = pictures(5)
    cosine = scorer.score(images, PROMPTS).values
    hundred = scorer.score(images, PROMPTS, variant="torchmetrics")
    assert torch.allclose(hundred.values, 100 * cosine)
    assert hundred.mean() == pytest.approx(max(100 * cosine.mean().item(), 0), abs=1e-4)
    prefixed = scorer.score(images, ["A photo depicts " + p for p in PROMPTS]).values
    clipscore = scorer.score(images, PROMPTS, variant="clipscore").values
    assert torch.allclose(clipscore, 2.5 * prefixed.clamp(min=0))
    assert bool((cosine < 0).any()), "the clamp must have something to clamp"


def test_torchmetrics_clamps_the_mean_only(scorer):
    images = pictures(8)
    below = [i for i, v in enumerate(scorer.score(images, "a cat").values) if v < 0]
    scores = scorer.score([images[i] for i in below], "a cat", variant="torchmetrics")
    assert scores.values.max() < 0
    assert scores.mean() == 0


def test_long_prompts_keep_their_eos_and_are_reported(scorer):
    images = pictures(1) * 3
    scores = scorer.score(images, ["a cat " * 200, "a dog " * 200, "a cat"])
    assert scores.truncated.tolist() == [True, True, False]
    assert scores.values[0] != scores.values[1], "two long captions must not share one embedding"
    words = ("a red cat on a blue house " * 20).split()
    kept = " ".join(words[:75])
    cut, short = scorer.score(images[:2], [" ".join(words), kept]).values
    assert cut == pytest.approx(short.item(), abs=1e-6)


def test_exactly_as_long_as_the_tower_is_not_truncated(scorer):
    assert scorer.score(pictures(2), ["cat " * 75, "cat " * 76]).truncated.tolist() == [False, True]


@pytest.mark.pitfall(31)
def test_typed_special_tokens_stay_text(scorer):
    # in capitals it is no special token, and the tokenizer lowers case afterwards
    typed, text = scorer.similarity(
        pictures(1), ["a cat <|endoftext|> dog", "a cat <|ENDOFTEXT|> dog"]
    )[0]
    assert typed == pytest.approx(text.item(), abs=1e-6)


def test_a_picture_scores_the_same_from_the_pipeline_and_from_its_file(scorer, tmp_path):
    pipe = tiny_pipeline()
    call = {"prompt": "a cat", "num_inference_steps": 2}
    straight = pipe(**call, generator=torch.Generator().manual_seed(3)).images[0]
    tensor = pipe(**call, generator=torch.Generator().manual_seed(3), output_type="pt").images[0]
    straight.save(tmp_path / "p.png")
    values = scorer.score([straight, tensor, tmp_path / "p.png"], "a cat").values
    assert values[0] == values[1] == values[2]


def test_half_precision_towers_still_compare_in_float32(folder):
    half = ClipScorer.from_pretrained(folder, dtype=torch.bfloat16)
    whole = ClipScorer.from_pretrained(folder)
    images = pictures(4)
    assert half.similarity(images, PROMPTS).dtype == torch.float32
    assert torch.allclose(
        half.similarity(images, PROMPTS), whole.similarity(images, PROMPTS), atol=0.02
    )
    norms = half.clip.encode_texts(PROMPTS).features.float().norm(dim=-1)
    rounded = half.similarity(images, PROMPTS) / 2**-8
    assert norms.isfinite().all()
    assert not torch.equal(rounded, rounded.round()), "cosines in steps of bfloat16"


def test_provenance_says_how_and_is_json(scorer, folder):
    provenance = scorer.score(pictures(1), "a cat", variant="clipscore").provenance
    assert json.loads(json.dumps(provenance)) == provenance
    assert provenance["variant"] == {
        "name": "clipscore", "scale": 2.5, "prefix": "A photo depicts ", "clamp": "item",
    }  # fmt: skip
    assert len(provenance["weights_sha256"]) == 64
    assert provenance["dtype"] == "float32"
    assert provenance["scorer"] == folder.name
    assert {"torch", "transformers", "pillow", "clipcond"} <= set(provenance["versions"])


def test_bad_pairs_are_named(scorer):
    images = pictures(2)
    with pytest.raises(ScoreError, match="2 images and 3 prompts"):
        scorer.score(images, ["a", "b", "c"])
    with pytest.raises(ScoreError, match=r"prompts\[1\]: got 3"):
        scorer.score(images, ["a", 3])
    with pytest.raises(ScoreError, match="prompts: got None"):
        scorer.score(images, None)
    with pytest.raises(ScoreError, match="prompts: got"):
        scorer.similarity(images, [])
    with pytest.raises(ScoreError, match=r"'clip_score'.*cosine, clipscore, torchmetrics"):
        scorer.score(images, "a", variant="clip_score")
    with pytest.raises(ScoreError, match=r"images\[1\]: .*float64"):
        scorer.score([images[0], np.zeros((4, 4, 3))], "a cat")
    with pytest.raises(ScoreError, match="batch_size: got 0"):
        ClipScorer(scorer.clip, batch_size=0)


def test_the_crop_policy_is_the_checkpoints_and_in_the_provenance(folder, scorer):
    (wide,) = pictures(3)[2:]
    padded = ClipScorer.from_pretrained(folder, crop="pad")
    assert padded.score([wide], "a cat").values != scorer.score([wide], "a cat").values
    assert padded.provenance["crop"].startswith("pad")
    assert scorer.provenance["crop"] == "center 32 x 32"
    with pytest.raises(ScoreError, match="squash"):
        ClipScorer.from_pretrained(folder, crop="stretch")


def test_repr_tells_what_a_score_depends_on_in_two_lines(scorer):
    assert repr(scorer).splitlines() == [
        "ClipScorer tiny: clip of a ViT/8 (2 x 32, 32 pixels) and a text tower (3 x 32), 32 features; float32 on cpu",
        "pictures: shortest edge to 32, PIL bicubic, crop center 32 x 32; texts: 77 tokens",
    ]
