"""Named measures equal independent transcriptions of their formulae; what others get wrong stays right here."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcond.errors import ScoreError
from clipcond.score import ClipScorer
from clipcond.score.measures import QUALITIES
from tests.tiny import tiny_clip

PROMPTS = ["a cat", "a red fox to the left of a blue ball", "two yellow hearts", "dog"]
SIZES = [(32, 32), (40, 64), (77, 33), (64, 48)]


def pictures(n=4, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Image.fromarray(rng.integers(0, 256, (*SIZES[i % 4], 3), dtype=np.uint8)) for i in range(n)
    ]


def reference_features(texts=None, images=None):
    """Plain transformers: tokenizer padding, the model's own pooling and projection."""
    model, tokenizer, processor = tiny_clip()
    with torch.no_grad():
        if texts is not None:
            inputs = tokenizer(texts, padding=True, return_tensors="pt")
            return model.get_text_features(**inputs).pooler_output
        pixels = processor(images, return_tensors="pt")["pixel_values"]
        return model.get_image_features(pixel_values=pixels).pooler_output


@pytest.mark.parity
def test_torchmetrics_formula(scorer):
    # functional/multimodal/clip_score.py: 100 * (a * b).sum(-1) of features divided by their norm; mean of max(., 0)
    a, b = reference_features(images=pictures()), reference_features(texts=PROMPTS)
    a, b = a / a.norm(p=2, dim=-1, keepdim=True), b / b.norm(p=2, dim=-1, keepdim=True)
    theirs = 100 * (a * b).sum(axis=-1)
    ours = scorer.score(pictures(), PROMPTS, variant="torchmetrics")
    assert torch.allclose(ours.values, theirs, atol=1e-4)
    total = torch.max(theirs.sum() / len(theirs), torch.zeros(()))
    assert ours.mean() == pytest.approx(total.item(), abs=1e-4)


@pytest.mark.parity
def test_clip_score_021_is_the_cosine(scorer):
    # clip_score.py 0.2.1, calculate_clip_score: the sum of products of normalised features over the number of samples
    real, fake = reference_features(images=pictures()), reference_features(texts=PROMPTS)
    real = real / real.norm(dim=1, keepdim=True).to(torch.float32)
    fake = fake / fake.norm(dim=1, keepdim=True).to(torch.float32)
    theirs = (fake * real).sum() / real.shape[0]
    assert scorer.score(pictures(), PROMPTS).mean() == pytest.approx(theirs.item(), abs=1e-4)


def hessel(texts):
    # sklearn.preprocessing.normalize in clipscore.py
    features = texts.numpy()
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parity
def test_hessels_clipscore_and_refclipscore(scorer):
    references = [
        ["a cat on a hat", "dog"],
        ["fox"],
        ["two hearts", "a yellow heart"],
        ["a big dog"],
    ]
    prefix = "A photo depicts "
    images = hessel(reference_features(images=pictures()))
    candidates = hessel(reference_features(texts=[prefix + p for p in PROMPTS]))
    per = 2.5 * np.clip(np.sum(images * candidates, axis=1), 0, None)
    ours = scorer.score(pictures(), PROMPTS, variant="clipscore")
    assert ours.values.numpy() == pytest.approx(per, abs=1e-4)

    best = np.array([
        np.max(candidate.dot(hessel(reference_features(texts=[prefix + r for r in own])).T))
        for candidate, own in zip(candidates, references, strict=True)
    ])  # fmt: skip
    assert (best > 0).all()
    theirs = 2 * per * best / (per + best)
    found = scorer.ref_clipscore(pictures(), PROMPTS, references)
    assert found.values.numpy() == pytest.approx(theirs, abs=1e-4)
    assert found.provenance["variant"]["name"] == "ref_clipscore"
    assert 0 < (per > 0).sum() < len(per), "clamped and not clamped, both"


@pytest.mark.parity
@pytest.mark.parametrize("quality", ["quality", "sharpness", ("a cat", "a dog")])
def test_clip_iqa_formula(scorer, quality):
    pair = list(QUALITIES[quality] if isinstance(quality, str) else quality)
    images, anchors = reference_features(images=pictures()), reference_features(texts=pair)
    images, anchors = (
        images / images.norm(dim=-1, keepdim=True),
        anchors / anchors.norm(dim=-1, keepdim=True),
    )
    theirs = (100 * images @ anchors.t()).reshape(4, -1, 2).softmax(-1)[:, 0, 0]
    assert torch.allclose(scorer.iqa(pictures(), quality).values, theirs, atol=1e-4)
    assert torch.allclose(
        scorer.iqa(pictures(), tuple(reversed(pair))).values, 1 - theirs, atol=1e-4
    )


@pytest.mark.parity
def test_directional_formula(scorer):
    before, after = pictures(seed=0), pictures(seed=1)
    source, target = PROMPTS, ["a dog", "a blue fox", "three yellow hearts", "cat"]
    unit = lambda f: f / f.norm(dim=-1, keepdim=True)  # noqa: E731
    moved = unit(reference_features(images=after)) - unit(reference_features(images=before))
    said = unit(reference_features(texts=target)) - unit(reference_features(texts=source))
    theirs = torch.cosine_similarity(moved, said)
    found = scorer.directional(before, after, source, target)
    assert torch.allclose(found.values, theirs, atol=1e-4)


def test_an_edit_without_direction_is_named(scorer):
    before, after = pictures(seed=0), pictures(seed=1)
    after[2] = before[2]
    with pytest.raises(ScoreError, match=r"images\[2\]: the same as its source"):
        scorer.directional(before, after, PROMPTS, ["x", "y", "z", "cat dog"])
    with pytest.raises(ScoreError, match=r"prompts\[0\]: the same as its source"):
        scorer.directional(before, pictures(seed=1), "a cat", "a cat")


def test_r_precision_is_top_one_of_the_candidates(scorer):
    images, rivals = pictures(), ["a cat", "a hat", "blue", "sky", "a house"]
    similarity = scorer.similarity(images, PROMPTS + rivals[1:])
    own = similarity[:, :4].diagonal()
    wins = [
        all(own[i] > similarity[i, j] for j in ([*range(4, 8)] + ([0] if i else [])))
        for i in range(4)
    ]
    found = scorer.r_precision(images, PROMPTS, rivals)
    assert found.values.tolist() == [float(w) for w in wins]
    assert 0 < sum(wins) < 4 or found.mean() in (0.0, 1.0)
    assert found.provenance["candidates"] == [5, 6]
    listed = scorer.r_precision(images, PROMPTS, [[r for r in rivals if r != p] for p in PROMPTS])
    assert listed.values.tolist() == found.values.tolist()
    assert listed.provenance["distractors_sha256"] == found.provenance["distractors_sha256"]
    with pytest.raises(ScoreError, match=r"none is left for images\[0\]"):
        scorer.r_precision(images[:1], "a cat", ["a cat"])


def test_long_captions_have_their_own_scores(scorer):
    # torchmetrics 1.9 cuts the ids at 77, EOS with them, and pools every long caption at BOS: cosine 1.000000
    long = ["a red cat on a blue house " * 20, "two yellow hearts below a dog " * 20]
    features = scorer.text_features(long)
    assert features.truncated.tolist() == [True, True]
    assert float(features.features[0] @ features.features[1]) < 0.99


def test_pairs_of_any_lengths_make_a_batch(scorer):
    # clip-score 0.2.1 cannot stack captions of different lengths
    mixed = ["cat", "a " * 30, "a big dog in the house", "x" * 200]
    together = scorer.score(pictures(), mixed).values
    alone = [scorer.score([p], t).values[0] for p, t in zip(pictures(), mixed, strict=True)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-6)


@settings(max_examples=10)
@given(st.permutations(range(4)))
def test_pairing_is_by_position_given_never_by_sorting(scorer, order):
    images = pictures()
    values = scorer.score(images, PROMPTS).values
    shuffled = scorer.score([images[i] for i in order], [PROMPTS[i] for i in order]).values
    assert torch.allclose(shuffled, values[list(order)], atol=1e-6)


def test_every_kind_of_picture_scores_the_same_and_no_negative_slips_in(scorer, tmp_path):
    picture = pictures(1)[0]
    array = np.asarray(picture)
    picture.save(tmp_path / "p.png")
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    kinds = [picture, array, tensor, tensor.float() / 255, tmp_path / "p.png"]
    values = scorer.score(kinds, "a cat").values
    assert torch.allclose(values, values[0].expand(5), atol=1e-6)
    wrapped = array * np.uint8(255)  # what ImagenHub scored
    assert abs(scorer.score([wrapped], "a cat").values[0] - values[0]) > 1e-3
    for scaled in (tensor.float(), array.astype(np.float32)):
        with pytest.raises(ScoreError, match=r"images\[0\]"):
            scorer.score([scaled], "a cat")


def test_batch_size_does_not_change_a_score(scorer):
    images = pictures(64)
    texts = [f"{PROMPTS[i % 4]} {'a ' * (i % 40)}" for i in range(64)]
    one = ClipScorer(scorer.clip, batch_size=1).score(images, texts).values
    for batch_size in (2, 3, 7, 16, 33, 64):
        many = ClipScorer(scorer.clip, batch_size=batch_size).score(images, texts).values
        assert float((one - many).abs().max()) <= 1e-6


def test_texts_are_encoded_once_and_padded_to_their_length(scorer):
    seen = []
    fresh = ClipScorer(scorer.clip)
    hook = fresh.text_tower.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    try:
        fresh.score(pictures(), "a cat")
        fresh.score(pictures(), "a cat")
        fresh.similarity(pictures(1), ["a cat", "a dog", "cat " * 30])
    finally:
        hook.remove()
    assert sorted(seen) == [(1, 4), (1, 4), (1, 32)]


def test_provenance_of_every_measure_is_json(scorer):
    found = [
        scorer.iqa(pictures()),
        scorer.r_precision(pictures(), PROMPTS, ["hat", "sky"]),
        scorer.ref_clipscore(pictures(), PROMPTS, [["x"]] * 4),
    ]
    for scores in found:
        assert json.loads(json.dumps(scores.provenance)) == scores.provenance
        assert len(scores.provenance["weights_sha256"]) == 64


def test_complaints_quote_what_came(scorer):
    images = pictures(2)
    with pytest.raises(ScoreError, match="quality: got 'sharp'; choose one of quality, brightness"):
        scorer.iqa(images, "sharp")
    with pytest.raises(ScoreError, match="references: got 1 for 2 images"):
        scorer.ref_clipscore(images, "a cat", [["x"]])
    with pytest.raises(ScoreError, match=r"references\[1\]: got \[\]"):
        scorer.ref_clipscore(images, "a cat", [["x"], []])
    with pytest.raises(ScoreError, match="got 1 lists for 2 images"):
        scorer.r_precision(images, "a cat", [["x"]])
