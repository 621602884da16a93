"""Zero-shot: transformers' own probabilities, names and templates averaged, unknown from calibration, files without pickle."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import clipcond
from clipcond import emoji
from clipcond.emoji.world import PRESETS, UNITS
from clipcond.errors import CheckpointError, ScoreError
from clipcond.score import Classifier, ClipScorer, build_classifier, few_shot, fit_probe
from tests.score.test_measures import pictures
from tests.tiny import save_tiny_clip, tiny_clip

CLASSES = ["cat", "dog", "red fox"]


def drawn(name, count=3):
    places = [(4, 8), (8, 12), (16, 4), (12, 16)][:count]
    backgrounds = ["white", "cyan", "beige", "gray"]
    return [
        emoji.render(emoji.Scene(b, (emoji.Item(name, x, y, 12),)), UNITS)
        for (x, y), b in zip(places, backgrounds, strict=False)
    ]


@pytest.mark.parity
def test_one_template_is_transformers_probabilities(scorer):
    model, tokenizer, processor = tiny_clip()
    texts = [f"a photo of a {name}" for name in CLASSES]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        theirs = model(
            **inputs, pixel_values=processor(pictures(), return_tensors="pt")["pixel_values"]
        ).logits_per_image.softmax(-1)
    ours = clipcond.zero_shot(pictures(), CLASSES, scorer)
    assert ours.shape == (4, 3)
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parity
def test_templates_and_names_are_averaged_as_open_clip_does(scorer):
    templates = ["a photo of a {}", "a big {}", "the {} on a {}"]
    unit = lambda f: f / f.norm(dim=-1, keepdim=True)  # noqa: E731
    vectors = []
    for names in (["cat", "house cat"], ["dog"]):
        texts = [t.replace("{}", name) for name in names for t in templates]
        vectors.append(unit(scorer.text_features(texts).features.mean(0)))
    logits = scorer.logit_scale * scorer.image_features(pictures()) @ torch.stack(vectors).T
    found = clipcond.zero_shot(pictures(), [["cat", "house cat"], "dog"], scorer, templates)
    assert torch.allclose(found, logits.softmax(-1), atol=1e-5)


def test_prompts_of_a_classs_own_go_into_no_template(scorer):
    own = {"cat": ["a cat", "the cat"], "dog": ["a big dog"]}
    classifier = build_classifier(own, scorer)
    assert classifier.provenance["prompts"] == own
    assert classifier.classes == ("cat", "dog")


def test_the_shipped_model_names_what_is_drawn(shipped):
    names = PRESETS["small"].nouns
    images = [image for name in names for image in drawn(name, 1)]
    found = clipcond.zero_shot(images, list(names), shipped)
    right = found.argmax(1) == torch.arange(len(names))
    assert right.float().mean() >= 0.8
    assert torch.allclose(found.sum(1), torch.ones(len(names)), atol=1e-5)


def test_unknown_is_said_of_other_things(shipped):
    nouns, shapes = list(PRESETS["small"].nouns), PRESETS["small"].sprites[20:]
    classes, others, null = nouns[:5], nouns[5:10], [*nouns[10:], *shapes]
    classifier = build_classifier(classes, shipped, null=null)
    known = [i for name in classes for i in drawn(name)]
    strange = [i for name in others for i in drawn(name)]
    said = classifier.unknown(shipped.image_features(known)).float().mean()
    meant = classifier.unknown(shipped.image_features(strange)).float().mean()
    assert said <= 0.1
    assert meant >= 0.5
    with pytest.raises(ScoreError, match="has 0 names of other things"):
        build_classifier(classes, shipped).unknown(shipped.image_features(known))


def test_a_saved_classifier_is_the_same_and_holds_no_pickle(scorer, tmp_path):
    classifier = build_classifier(CLASSES, scorer, null=["hat", "car", "sky"])
    classifier.save(tmp_path / "c.safetensors")
    again = Classifier.load(tmp_path / "c.safetensors")
    features = scorer.image_features(pictures())
    assert torch.equal(again.probabilities(features), classifier.probabilities(features))
    assert torch.equal(again.unknown(features), classifier.unknown(features))
    assert again.provenance == json.loads(json.dumps(classifier.provenance))
    with safe_open(tmp_path / "c.safetensors", "pt") as opened:
        assert set(opened.keys()) == {"weights", "bias", "null"}


def test_a_classifier_refuses_another_models_features(scorer, tmp_path):
    classifier = build_classifier(CLASSES, scorer)
    other = ClipScorer.from_pretrained(save_tiny_clip(tmp_path / "other", seed=3))
    with pytest.raises(ScoreError, match=r"weights_sha256 is .* and "):
        classifier.classify(pictures(), other)


def test_files_that_are_no_classifier(scorer, tmp_path):
    save_file({"weights": torch.zeros(1, 2)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x80\x04pickle")
    build_classifier(CLASSES, scorer).save(tmp_path / "c.safetensors")
    whole = (tmp_path / "c.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[:-20])
    for name in ("other", "cut", "short", "none"):
        with pytest.raises(CheckpointError, match=name):
            Classifier.load(tmp_path / f"{name}.safetensors")


def test_a_probe_is_the_minimum_of_its_loss():
    torch.manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(60, 8), dim=-1)
    labels = [["a", "b", "c"][int(row.abs().argmax()) % 3] for row in features]
    probe = fit_probe(features, labels, ["a", "b", "c"], _Named(), penalty=1e-2)
    weights = probe.weights.double().requires_grad_()
    bias = probe.bias.double().requires_grad_()
    truth = torch.tensor(["abc".index(label) for label in labels])
    loss = torch.nn.functional.cross_entropy(features.double() @ weights.T + bias, truth)
    (loss + 5e-3 * weights.square().sum()).backward()
    assert weights.grad.abs().max() < 1e-4
    assert bias.grad.abs().max() < 1e-4


class _Named:
    provenance = {"scorer": "random"}  # noqa: RUF012


def test_examples_teach_what_names_do_not_say(shipped):
    names = ["fox", "rocket", "pizza", "frog"]
    wrong = {"fox": ["a rocket"], "rocket": ["a fox"], "pizza": ["a pizza"], "frog": ["a frog"]}
    images = [i for name in names for i in drawn(name, 4)]
    labels = [name for name in names for _ in range(4)]
    features = shipped.image_features(images)
    train, test = slice(0, None, 2), slice(1, None, 2)
    truth = torch.tensor([names.index(label) for label in labels[test]])

    def right(classifier):
        return (classifier.probabilities(features[test]).argmax(1) == truth).float().mean()

    misled = build_classifier(wrong, shipped)
    taught = few_shot(misled, features[train], labels[train], share=0.8)
    probe = fit_probe(features[train], labels[train], names, shipped)
    assert right(misled) <= 0.6
    assert right(taught) == right(probe) == 1
    untouched = few_shot(misled, features[train][:2], labels[train][:2])
    assert torch.equal(untouched.weights[1:], misled.weights[1:])
    assert torch.equal(
        few_shot(misled, features[train], labels[train], share=0.0).weights.argmax(),
        misled.weights.argmax(),
    )


def test_complaints_quote_what_came(scorer):
    def build(classes, **options):
        return lambda: build_classifier(classes, scorer, **options)

    features = torch.eye(3)
    cases = [
        (build("cat"), "classnames: got 'cat'"),
        (build([]), "classnames: got none"),
        (build(["cat", ["kitty", "cat"]]), "'cat' is there twice"),
        (build({"cat": []}), r"'cat' has \[\]"),
        (build({"cat": "a cat"}), "'cat' has 'a cat'"),
        (build(["unknown"]), "'unknown' is the answer"),
        (build(["cat"], templates=["a photo"]), "'a photo' has no {}"),
        (build(["cat"], templates="a {}"), "templates: got 'a {}'"),
        (lambda: fit_probe(features, ["a", "b"], ["a", "b"], scorer), "3 features and 2 labels"),
        (lambda: fit_probe(features, ["a", "b", "x"], ["a", "b"], scorer), "labels: 'x' is none"),
        (lambda: fit_probe(features, ["a", "a", "a"], ["a", "b"], scorer), "'b' has no example"),
        (lambda: fit_probe(features, ["a"] * 3, ["a"], scorer), "classes: got"),
        (lambda: fit_probe(features, ["a"] * 3, ["a", "b"], scorer, penalty=0.0), "penalty: got"),
        (lambda: few_shot(build(["a"])(), features, ["a"] * 3, share=2.0), "share: got 2"),
    ]
    for call, quote in cases:
        with pytest.raises(ScoreError, match=quote):
            call()
