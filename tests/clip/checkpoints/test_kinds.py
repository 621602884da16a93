"""SigLIP, SigLIP 2 of fixed size, MetaCLIP 2 and CLIPs of other vocabularies compute what transformers computes."""

import json

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    MetaClip2Model,
    Siglip2Tokenizer,
    SiglipImageProcessorPil,
)

from clipcond.clip import load_clip, save_clip
from clipcond.errors import CheckpointError, ScoreTruncatedWarning
from clipcond.score import Classifier, ClipScorer, build_classifier, zero_shot
from tests.clip.tiny_kinds import (
    byte_bpe,
    save_contrastive,
    save_siglip,
    unigram,
    wordpiece,
    xlm_roberta,
)
from tests.tiny import save_tiny_clip

TEXTS = ["a cat", "A Dog, and a 고양이!", "강아지", "", "a " * 90]
PICTURES = [Image.effect_noise((50, 41), 90).convert("RGB"), Image.new("RGB", (32, 32), "teal")]


def siglip2_tokenizer():
    pieces = [
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<mask>",
        "▁",
        *"abcdefghijklmnopqrstuvwxyz가나다",
        "ca",
        "cat",
    ]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    return Siglip2Tokenizer(vocab=vocab, merges=[("c", "a"), ("ca", "t")])


TOKENIZERS = {
    "siglip": unigram,
    "cased": lambda: unigram(lower=False),
    "left": lambda: unigram(padding_side="left"),
    "siglip2": siglip2_tokenizer,
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def siglip(request, tmp_path_factory):
    return save_siglip(tmp_path_factory.mktemp("siglip") / "tiny", TOKENIZERS[request.param]())


def theirs_of(folder, model, processor_class, **tokens):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(TEXTS, truncation=True, return_tensors="pt", **tokens)
    pixels = processor_class.from_pretrained(folder)(PICTURES, return_tensors="pt")
    with torch.no_grad():
        return model(input_ids=inputs["input_ids"], **pixels)


def test_siglip_scores_as_transformers_does(siglip):
    folder, model = siglip
    clip = load_clip(folder)
    theirs = theirs_of(folder, model, SiglipImageProcessorPil, padding="max_length", max_length=64)
    texts, pictures = clip.encode_texts(TEXTS), clip.encode_pictures(PICTURES)
    assert torch.allclose(F.normalize(texts.features, dim=-1), theirs.text_embeds, atol=1e-6)
    assert torch.allclose(F.normalize(pictures, dim=-1), theirs.image_embeds, atol=1e-6)
    assert texts.truncated.tolist() == [False] * 4 + [True]
    cosines = theirs.image_embeds @ theirs.text_embeds.T
    expected = theirs.logits_per_image.sigmoid()
    assert torch.allclose(clip.probabilities(cosines), expected, atol=1e-6)


def test_zero_shot_by_a_siglip_is_transformers_sigmoid(siglip, tmp_path):
    folder, model = siglip
    theirs = theirs_of(folder, model, SiglipImageProcessorPil, padding="max_length", max_length=64)
    expected = theirs.logits_per_image.sigmoid()[:, :3]
    scorer = ClipScorer.from_pretrained(folder)
    found = zero_shot(PICTURES, TEXTS[:3], scorer, templates=["{}"])
    assert torch.allclose(found, expected, atol=1e-6)
    build_classifier(TEXTS[:3], scorer, ["{}"]).save(tmp_path / "c.safetensors")
    again = Classifier.load(tmp_path / "c.safetensors").classify(PICTURES, scorer)
    assert torch.equal(again, found)


def test_what_a_siglip_is_is_told(siglip):
    clip = load_clip(siglip[0])
    assert (clip.positions, clip.logit_bias) == (64, -1.5)
    assert clip.as_dict() == {
        "reading": "transformers",
        "text_features": "last",
        "logit_bias": -1.5,
    }
    assert clip.preprocessing.as_dict()["crop"] == "squash 32 x 32"
    assert clip.architecture.as_dict()["kind"] == "siglip"
    assert json.loads(json.dumps(clip.architecture.as_dict())) == clip.architecture.as_dict()


def test_a_siglip_that_keeps_capitals_says_so(tmp_path):
    """Trained on small letters, and transformers leaves that to the tokenizer."""
    cased, small = (
        load_clip(save_siglip(tmp_path / name, unigram(lower=lower))[0])
        for name, lower in (("cased", False), ("small", True))
    )
    assert small.assumed == ()
    assert "capitals as they are" in cased.assumed[0]
    for clip in (cased, small):
        one, other = clip.encode_texts(["A Cat", "a cat"]).features
        assert torch.allclose(one, other) == (clip is small)


def test_a_scorer_squashes_and_tells(siglip):
    scorer = ClipScorer.from_pretrained(siglip[0])
    assert scorer.provenance["crop"] == "squash 32 x 32"
    assert scorer.provenance["logit_bias"] == -1.5
    with pytest.warns(ScoreTruncatedWarning, match="64 tokens"):
        assert scorer.similarity(PICTURES, TEXTS).shape == (2, 5)


def test_a_siglip_is_the_same_alone_and_in_a_batch(siglip):
    clip = load_clip(siglip[0])
    together = clip.encode_texts(TEXTS).features
    alone = torch.cat([clip.encode_texts([text]).features for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_siglip_is_saved_and_read_again(siglip, tmp_path):
    clip = load_clip(siglip[0])
    save_clip(clip, tmp_path / "again")
    again = load_clip(tmp_path / "again")
    assert again.digest == clip.digest
    assert again.preprocessing == clip.preprocessing
    assert torch.equal(again.encode_texts(TEXTS).features, clip.encode_texts(TEXTS).features)
    with pytest.raises(CheckpointError, match="open_clip_config"):
        save_clip(clip, tmp_path / "openclip", layout="openclip")


@pytest.fixture(scope="module")
def metaclip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metaclip") / "tiny"
    return save_contrastive(folder, xlm_roberta(), 2, MetaClip2Model)


def test_metaclip_2_scores_as_transformers_does(metaclip, tmp_path):
    folder, model = metaclip
    clip = load_clip(folder)
    theirs = theirs_of(folder, model, CLIPImageProcessorPil, padding=True, max_length=77)
    texts = F.normalize(clip.encode_texts(TEXTS).features, dim=-1)
    pictures = F.normalize(clip.encode_pictures(PICTURES), dim=-1)
    assert torch.allclose(texts, theirs.text_embeds, atol=1e-6)
    assert torch.allclose(pictures, theirs.image_embeds, atol=1e-6)
    cosines = theirs.image_embeds @ theirs.text_embeds.T
    assert torch.allclose(
        clip.probabilities(cosines), theirs.logits_per_image.softmax(-1), atol=1e-6
    )
    assert (clip.logit_bias, clip.assumed) == (None, ())
    assert clip.as_dict()["text_features"] == "end"
    save_clip(clip, tmp_path / "again")
    assert load_clip(tmp_path / "again").digest == clip.digest


OTHERS = {
    "unigram": (unigram, 1),
    "unigram, 2 for the highest": (unigram, 2),
    "wordpiece": (wordpiece, 3),
    "byte BPE": (byte_bpe, 258),
}


@pytest.mark.parametrize("named", [True, False], ids=["a class of its own", "said to be CLIP's"])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_clip_of_another_vocabulary_is_read_with_it(tmp_path, kind, named):
    make, end = OTHERS[kind]
    tokenizer = make()
    folder, model = save_contrastive(tmp_path / "tiny", tokenizer, end)
    if not named:
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text()) | {"tokenizer_class": "CLIPTokenizer"}
        file.write_text(json.dumps(config))
    clip = load_clip(folder)
    ours = clip.encode_texts(TEXTS)
    for text, row in zip(TEXTS, ours.features, strict=True):
        ids = tokenizer(text, truncation=True, max_length=77, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            theirs = model.get_text_features(input_ids=ids).pooler_output[0]
        assert torch.allclose(row, theirs, atol=1e-6), text
    cat, dog = clip.encode_texts(["고양이", "강아지"]).features
    assert not torch.allclose(cat, dog)
    assert clip.as_dict()["text_features"] == ("highest" if end == 2 else "end")
    assert clip.assumed == ()


def test_an_end_that_no_text_has_is_told(tmp_path):
    folder, _ = save_contrastive(tmp_path / "tiny", unigram(), 49407)
    clip = load_clip(folder)
    assert "end token 1, and not at eos_token_id 49407" in clip.assumed[0]
    one, other = clip.encode_texts(["a cat", "a dog"]).features
    assert not torch.allclose(one, other)


def test_a_tokenizer_that_ends_no_text_is_refused(tmp_path):
    folder, _ = save_contrastive(tmp_path / "tiny", byte_bpe(ends=False), 258)
    with pytest.raises(CheckpointError, match="ends no text with an end-of-text token"):
        load_clip(folder)


def test_a_vocabulary_of_bytes_without_its_class_is_refused(tmp_path):
    folder, _ = save_contrastive(tmp_path / "tiny", byte_bpe(), 258)
    vocab = byte_bpe().get_vocab()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("c a\nca t\n")
    with pytest.raises(CheckpointError, match="marks no end of a word"):
        load_clip(folder)


def test_sentencepiece_alone_names_what_it_needs(tmp_path):
    folder, _ = save_siglip(tmp_path / "tiny", unigram())
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"\x0a\x0b")
    config = {"tokenizer_class": "SiglipTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"spiece\.model|tokenizer\.json: unreadable"):
        load_clip(folder)


@pytest.mark.parametrize(
    ("kind", "instead"),
    [
        ("siglip2", "NaFlex"),
        ("align", "google/siglip2"),
        ("blip", "laion/"),
        ("chinese_clip", "metaclip-2"),
        ("siglip_vision_model", "name the whole SiglipModel"),
        ("flava", "laion/"),
        (None, "'siglip'"),
        (["clip"], "read are"),
    ],
)
def test_other_kinds_say_what_would_do_instead(tmp_path, kind, instead):
    folder = save_tiny_clip(tmp_path / "tiny")
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(CheckpointError) as caught:
        load_clip(folder)
    assert f"model_type is {kind!r}" in str(caught.value)
    assert instead in str(caught.value)


def test_a_siglip_without_features_of_pictures_is_refused(tmp_path):
    folder, _ = save_siglip(tmp_path / "tiny", unigram())
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["vision_use_head"] = False
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="for pictures none"):
        load_clip(folder)
