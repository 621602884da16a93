"""Features are finite or refused by name, say which texts were cut in every result, and are right from any thread."""

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

import clipcond
from clipcond.errors import CheckpointError, ScoreError, ScoreTruncatedWarning
from clipcond.score import (
    Classifier,
    ClipScorer,
    Mixture,
    PictureError,
    Scores,
    best_of_n,
    build_classifier,
    calibrate,
    features,
    few_shot,
    fit_probe,
    interval,
)
from clipcond.score.variants import VARIANTS
from tests.score.test_measures import PROMPTS, pictures
from tests.tiny import save_tiny_clip, tiny_clip

LONG = "a red cat on a blue house " * 20
NULL = ["a car", "a house and a sky", "two circles", "white background, big hat", "photo"]
HALF = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)


def overflowing(folder, tower, factor):
    """A CLIP whose tower is right in float32 and, where its outputs are large, too large for float16."""
    model, tokenizer, processor = tiny_clip()
    with torch.no_grad():
        getattr(model, tower).weight.mul_(factor)
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def no_texts(tmp_path_factory):
    """Its text tower overflows in float16, its image tower does not."""
    folder = overflowing(tmp_path_factory.mktemp("clip") / "texts", "text_projection", 1e6)
    return ClipScorer.from_pretrained(folder, dtype=torch.float16)


@pytest.fixture(scope="module")
def some_pictures(tmp_path_factory):
    """(a scorer in float16 whose image tower overflows on some of `several()`, which ones)."""
    folder = save_tiny_clip(tmp_path_factory.mktemp("clip") / "plain")
    largest = ClipScorer.from_pretrained(folder).clip.encode_pictures(several()).abs().amax(1)
    order = largest.sort().values
    factor = 65504 / float((order[-3] + order[-2]) / 2)  # two of them overflow
    folder = overflowing(folder.parent / "pictures", "visual_projection", factor)
    bad = sorted(largest.argsort()[-2:].tolist())
    return ClipScorer.from_pretrained(folder, dtype=torch.float16, batch_size=4), bad


def several():
    return pictures(10, seed=4)


CALLS = {
    "score": lambda s: s.score(pictures(), "a cat"),
    "similarity": lambda s: s.similarity(pictures(), PROMPTS),
    "ref_clipscore": lambda s: s.ref_clipscore(pictures(), "a cat", [["a hat"]] * 4),
    "directional": lambda s: s.directional(pictures(), pictures(seed=1), "a cat", "a dog"),
    "r_precision": lambda s: s.r_precision(pictures(), PROMPTS, ["hat", "sky"]),
    "iqa": lambda s: s.iqa(pictures()),
    "clauses": lambda s: s.clauses(pictures()[0], "a cat and a dog", NULL),
    "calibrate": lambda s: calibrate(s, pictures(), PROMPTS, NULL),
    "zero_shot": lambda s: clipcond.zero_shot(pictures(), ["cat", "dog"], s),
    "build_classifier": lambda s: build_classifier(["cat", "dog"], s, null=["car", "sky"]),
    "rerank": lambda s: clipcond.rerank(pictures(), "a cat", s),
    "mixture": lambda s: Mixture([s]).score(pictures(), "a cat"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_text_tower_that_overflows_is_named_whatever_is_asked_of_it(no_texts, call):
    assert torch.isfinite(no_texts.image_features(pictures())).all()
    with pytest.raises(
        ScoreError, match=r"text '.*': the text tower gives it NaN or infinity in float16"
    ) as told:
        call(no_texts)
    assert "dtype=torch.float32" in str(told.value)


def test_pictures_that_overflow_are_named_and_the_others_ranked(some_pictures, tmp_path):
    scorer, bad = some_pictures
    files = [tmp_path / f"{i}.png" for i in range(10)]
    for file, picture in zip(files, several(), strict=True):
        picture.save(file)
    with pytest.raises(
        PictureError, match=rf"images\[{bad[0]}\]: .*image tower.*float16.*\(and 1 more\)"
    ) as told:
        scorer.image_features(several())
    assert sorted(told.value.reasons) == bad
    with pytest.raises(PictureError, match=f"{bad[0]}.png: the image tower"):
        scorer.score(files, "a cat")
    with pytest.raises(
        PictureError, match=rf"images\[{bad[0]}\]"
    ):  # its place in the whole, not in the batch
        clipcond.rerank(several(), "a cat", scorer)
    for given in (several(), files):
        ranking = clipcond.rerank(given, "a cat", scorer, on_error="skip")
        assert sorted(ranking.order) == [i for i in range(10) if i not in bad]
        assert [s.item for s in ranking.skipped] == (
            bad if given is not files else [files[i] for i in bad]
        )
        assert all("float32" in s.reason and s.failed for s in ranking.skipped)
    judged = clipcond.rerank(several()[:4], "a cat", Red(), judge=scorer, on_error="skip")
    assert sorted(judged.order) == [i for i in range(4) if i not in bad]


class Red:
    """A scorer of someone's own."""

    def score(self, images, prompts):
        levels = torch.tensor([float(image.getpixel((0, 0))[0]) for image in images])
        return Scores(
            values=levels,
            truncated=torch.zeros(len(images), dtype=torch.bool),
            variant=VARIANTS["cosine"],
            provenance={"scorer": "red"},
        )


def test_weights_that_are_no_numbers_are_told_from_overflow(tmp_path):
    folder = overflowing(tmp_path / "huge", "visual_projection", 1e38)
    with pytest.raises(ScoreError, match=r"in float32; copy or download the checkpoint again"):
        ClipScorer.from_pretrained(folder).image_features(pictures())
    folder = overflowing(tmp_path / "zero", "visual_projection", 0.0)
    with pytest.raises(ScoreError, match=r"images\[0\]: the image tower gives it only zeros"):
        ClipScorer.from_pretrained(folder).score(pictures(), "a cat")


def test_a_logit_scale_that_is_none_makes_no_probabilities(scorer):
    other = copy.deepcopy(scorer)
    with torch.no_grad():
        other.clip.model.logit_scale.fill_(200)
    with pytest.raises(ScoreError, match="logit scale is inf"):
        clipcond.zero_shot(pictures(), ["cat", "dog"], other)


def test_features_of_elsewhere_are_checked_too(scorer, tmp_path):
    classifier = build_classifier(["cat", "dog"], scorer, null=["car", "sky", "hat"])
    known = scorer.image_features(pictures())
    known[2, 5] = float("nan")
    labels = ["cat", "dog", "cat", "dog"]
    for call in (
        lambda: classifier.unknown(known),
        lambda: classifier.probabilities(known),
        lambda: fit_probe(known, labels, ["cat", "dog"], scorer),
        lambda: few_shot(classifier, known, labels),
    ):
        with pytest.raises(ScoreError, match=r"features\[2\]: holds nan"):
            call()
    classifier.weights[0, 0] = float("inf")
    classifier.save(tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        Classifier.load(tmp_path / "c.safetensors")


def test_numbers_of_elsewhere_do_not_become_zeros():
    class Nan(Red):
        def score(self, images, prompts):
            scores = super().score(images, prompts)
            scores.values[scores.values == 1] = float("nan")
            return scores

    images = [Image.new("RGB", (2, 2), (i, 0, 0)) for i in range(3)]
    with pytest.raises(ScoreError, match=r"scorers\[1\]\[1\]: holds nan"):
        Mixture([Red(), Nan()]).score(images, "x")
    ranking = clipcond.rerank(images, "x", Nan(), on_error="skip", top_k=1)
    assert [(s.item, s.reason) for s in ranking.skipped] == [
        (1, "scored nan, which cannot be ranked")
    ]
    for values in ([1.0, float("inf")], [1.0, float("nan")]):
        with pytest.raises(ScoreError, match=r"values\[1\] is"):
            interval(values)
    with pytest.raises(ScoreError, match="hold NaN or infinity"):
        best_of_n([[0.0, 1.0]] * 2, [[0.0, float("inf")]] * 2, [1])


def test_truncation_reaches_every_result(scorer):
    images = pictures()
    assert scorer.r_precision(images, PROMPTS, ["hat", LONG]).truncated.tolist() == [True] * 4
    own = scorer.r_precision(images, PROMPTS, [["hat"], [LONG, "sky"], ["sky"], ["hat"]])
    assert own.truncated.tolist() == [False, True, False, False]
    found = scorer.ref_clipscore(images, PROMPTS, [["hat"], ["sky", LONG], ["sky"], ["hat"]])
    assert found.truncated.tolist() == [False, True, False, False]
    assert scorer.iqa(images, ("good", LONG)).truncated.all()
    moved = scorer.directional(images, pictures(seed=1), [LONG, *PROMPTS[1:]], "a dog in a house")
    assert moved.truncated.tolist() == [True, False, False, False]
    placed = calibrate(scorer, images, PROMPTS, [*NULL, LONG])
    assert placed.null_truncated == (LONG,)
    assert not placed.truncated.any()
    with pytest.warns(ScoreTruncatedWarning, match="longer than the 77 tokens"):
        scorer.similarity(images, ["a cat", LONG])
    assert "(cut)" in str(scorer.clauses(images[0], "x" * 500, NULL))


def test_classes_that_were_cut_are_named_and_go_into_the_file(scorer, tmp_path):
    with pytest.warns(ScoreTruncatedWarning, match="'a photo of a a red cat.*shorten it"):
        found = clipcond.zero_shot(pictures(), [LONG, "dog"], scorer)
    assert found.shape == (4, 2)
    classifier = build_classifier(["cat", "dog"], scorer, null=["hat", "sky", LONG])
    assert classifier.truncated == (f"a photo of a {LONG}",)
    classifier.save(tmp_path / "c.safetensors")
    assert Classifier.load(tmp_path / "c.safetensors").truncated == classifier.truncated
    taught = few_shot(classifier, scorer.image_features(pictures()), ["cat", "dog"] * 2)
    assert taught.truncated == classifier.truncated


@pytest.mark.parametrize(
    "names",
    [
        [
            LONG + "cat",
            LONG + "dog",
        ],  # differ after the cut only: exactly half each, whatever the picture
        ["cat", "Cat"],  # CLIP lowers case
        {"cat": ["a cat", "the cat"], "pet": ["A cat", "the cat"]},
    ],
    ids=["cut", "case", "prompts"],
)
def test_classes_that_are_the_same_to_clip_are_refused(scorer, names):
    with pytest.raises(ScoreError, match="are the same to this CLIP, which reads 77 tokens"):
        build_classifier(names, scorer)
    with pytest.raises(ScoreError, match="are the same to this CLIP"):
        clipcond.zero_shot(pictures(), names, scorer)


def test_a_null_that_names_the_classes_does_not_count_against_them(scorer):
    others = ["car", "sky", "hat", "house", "big dog"]
    plain = build_classifier(["cat", ["red fox", "fox"]], scorer, null=others)
    mixed = build_classifier(
        ["cat", ["red fox", "fox"]],
        scorer,
        null=["Cat", *others[:2], "fox", *others[2:], "cat", "car"],
    )
    assert torch.equal(mixed.null, plain.null)
    assert mixed.provenance["null_passed_over"] == ["Cat", "fox", "cat"]
    assert mixed.provenance["null"] == others
    seen = scorer.image_features(pictures())
    assert torch.equal(mixed.unknown(seen), plain.unknown(seen))
    own = {"cat": ["a small animal"], "dog": ["another animal"]}
    assert build_classifier(own, scorer, null=["CAT", "hat", "sky"]).provenance["null"] == [
        "hat",
        "sky",
    ]
    with pytest.raises(ScoreError, match="null: 'cat' is a class itself, and 1 names"):
        build_classifier(["cat", "dog"], scorer, null=["cat", "dog", "hat"])


def test_a_pairs_own_text_is_passed_over_in_any_case_and_beyond_the_cut(scorer):
    plain = calibrate(scorer, pictures(2), "a car", [*NULL, LONG])
    mixed = calibrate(scorer, pictures(2), "A Car", [*NULL, LONG])
    assert mixed.null_size == plain.null_size == (5, 5)
    assert torch.equal(mixed.percentile, plain.percentile)
    cut = calibrate(scorer, pictures(2), LONG + "cat", [*NULL, LONG + "dog"])
    assert cut.null_size == (5, 5)
    table = scorer.clauses(pictures(1)[0], "a car", ["A Car", *NULL])
    assert table.rows == scorer.clauses(pictures(1)[0], "a car", NULL).rows


@HALF
def test_an_edit_that_is_rounding_has_no_direction(tmp_path, dtype):
    half = ClipScorer.from_pretrained(save_tiny_clip(tmp_path / "tiny"), dtype=dtype)
    before, after = several(), pictures(10, seed=5)
    after[3] = before[3].copy()
    with pytest.raises(ScoreError, match=r"images\[3\]: the same as its source"):
        ClipScorer(half.clip, batch_size=3).directional(before, after, "a cat", "a dog")


def test_texts_are_right_from_many_threads(scorer, monkeypatch):
    monkeypatch.setattr(features, "_CACHED_TEXTS", 3)
    texts = [f"a {word}" for word in ("cat", "dog", "fox", "hat", "sky", "car", "house", "ball")]
    alone = {text: scorer.text_features([text]).features[0] for text in texts}
    shared = ClipScorer(scorer.clip)

    def work(start):
        for turn in range(12):
            asked = [texts[(start + turn + i) % len(texts)] for i in range(3)]
            found = shared.text_features(asked).features
            assert torch.allclose(found, torch.stack([alone[text] for text in asked]), atol=1e-6)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(16)))
    finally:
        sys.setswitchinterval(interval)
    assert len(shared._known) == 3


def test_a_tokenizer_may_be_at_work_elsewhere(tmp_path):
    folder = save_tiny_clip(tmp_path / "clip")
    _, shared, _ = tiny_clip()
    scorer = ClipScorer.from_pretrained(folder, tokenizer=shared)
    shared("a cat", padding="max_length", max_length=7, truncation=True)
    assert scorer.clip.tokenizer.backend_tokenizer.truncation is None
    assert not scorer.score(pictures(1), "cat " * 20).truncated.any()


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float16, 5e-4), (torch.bfloat16, 4e-3)])
def test_batch_size_in_half_precision_is_rounding(tmp_path, dtype, rounding):
    half = ClipScorer.from_pretrained(save_tiny_clip(tmp_path / "clip"), dtype=dtype)
    images, texts = pictures(24), [f"{PROMPTS[i % 4]} {'a ' * i}" for i in range(24)]
    one = ClipScorer(half.clip, batch_size=1).score(images, texts).values
    for batch_size in (2, 7, 24):
        many = ClipScorer(half.clip, batch_size=batch_size).score(images, texts).values
        assert float((one - many).abs().max()) <= rounding


def test_a_scorer_is_copied_and_pickled_as_it_is(scorer):
    own = ClipScorer(scorer.clip, batch_size=5)
    own.score(pictures(), "a cat")
    for other in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert (type(other), other.batch_size) == (ClipScorer, 5)
        assert torch.equal(
            other.score(pictures(), "a cat").values, own.score(pictures(), "a cat").values
        )


def test_an_error_that_names_pictures_crosses_processes():
    error = pickle.loads(pickle.dumps(PictureError({3: "no picture", 5: "none either"})))
    assert str(error) == "images[3]: no picture (and 1 more)"
    assert error.reasons == {3: "no picture", 5: "none either"}


def test_a_strip_is_named_by_its_place(scorer):
    images = [*pictures(), Image.new("RGB", (1, 7_000_000))]
    with pytest.raises(PictureError, match=r"images\[4\]: .*strip of 1 x 7000000"):
        scorer.image_features(images)
    assert len(clipcond.rerank(images, "a cat", scorer, on_error="skip").order) == 4
