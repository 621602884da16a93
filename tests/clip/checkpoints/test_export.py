"""What is saved loads again, here and with transformers, as the same model."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from clipcond.clip import load_clip, save_clip
from clipcond.errors import CheckpointError
from tests.clip.layouts import openclip_config, save_openclip_folder
from tests.clip.openai_model import openai_clip, save_archive
from tests.tiny import clip_tokenizer, save_tiny_clip

TEXTS = ["a cat", "a red fox"]
PICTURES = [Image.effect_noise((50, 40), 90).convert("RGB"), Image.new("RGB", (32, 32), "teal")]


@pytest.fixture(scope="module", params=["vit", "resnet"])
def openai(request, tmp_path_factory):
    file = tmp_path_factory.mktemp("openai") / "model.pt"
    return load_clip(save_archive(openai_clip(request.param), file), tokenizer=clip_tokenizer())


def same(one, other):
    """But for last bits, which depend on where in memory weights that are mapped from a file lie."""
    texts = (each.encode_texts(TEXTS).features for each in (one, other))
    pictures = (each.encode_pictures(PICTURES) for each in (one, other))
    for ours, theirs in (texts, pictures):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert one.architecture == other.architecture
    # a layout is read as its original reads it, half pixels of the crop included
    assert one.preprocessing == replace(other.preprocessing, halves=one.preprocessing.halves)


def test_openai_to_openclip(openai, tmp_path):
    save_clip(openai, tmp_path, layout="openclip")
    again = load_clip(tmp_path)
    same(openai, again)
    assert (again.layout, again.assumed) == ("openclip", ())


def test_openai_to_transformers(openai, tmp_path):
    if openai.architecture.is_resnet:
        with pytest.raises(CheckpointError, match=r"no ResNet image tower; .*openclip"):
            save_clip(openai, tmp_path)
        return
    save_clip(openai, tmp_path)
    same(openai, load_clip(tmp_path))
    model = CLIPModel.from_pretrained(tmp_path)
    inputs = CLIPTokenizer.from_pretrained(tmp_path)(TEXTS, padding=True, return_tensors="pt")
    pixels = CLIPImageProcessorPil.from_pretrained(tmp_path)(PICTURES, return_tensors="pt")
    with torch.no_grad():
        texts = model.get_text_features(**inputs).pooler_output
        pictures = model.get_image_features(**pixels).pooler_output
    assert torch.allclose(texts, openai.encode_texts(TEXTS).features, atol=1e-6)
    assert torch.allclose(pictures, openai.encode_pictures(PICTURES), atol=1e-5)


def test_round_the_layouts_the_digest_stays(tmp_path):
    start = load_clip(save_openclip_folder(tmp_path / "start"))
    save_clip(start, tmp_path / "hf")
    middle = load_clip(tmp_path / "hf")
    save_clip(middle, tmp_path / "openclip", layout="openclip")
    end = load_clip(tmp_path / "openclip")
    same(start, end)
    assert start.digest == middle.digest == end.digest


@pytest.mark.parametrize("mode", ["squash", "longest"])
def test_pictures_are_prepared_alike_in_the_layouts_that_can_say_how(tmp_path, mode):
    config = openclip_config(text_cfg={"tokenizer_kwargs": {"clean": "canonicalize"}})
    config["preprocess_cfg"] |= {"resize_mode": mode, "fill_color": 9}
    start = load_clip(save_openclip_folder(tmp_path / "start", config=config), crop="multi")
    save_clip(start, tmp_path / "again", layout="openclip")
    again = load_clip(tmp_path / "again", crop="multi")
    assert again.preprocessing == start.preprocessing
    assert again.reader.name == start.reader.name
    if mode == "longest":
        with pytest.raises(CheckpointError, match="longer side is fitted"):
            save_clip(start, tmp_path / "hf")
        return
    save_clip(start, tmp_path / "hf")
    assert load_clip(tmp_path / "hf").preprocessing.as_dict()["crop"] == "squash 32 x 32"


def test_what_a_layout_cannot_say_is_an_error(tmp_path):
    mixed = load_clip(
        save_tiny_clip(tmp_path / "tiny")
    )  # GELU in one tower, QuickGELU in the other
    with pytest.raises(CheckpointError, match=r"'gelu', 'quick_gelu'"):
        save_clip(mixed, tmp_path / "out", layout="openclip")
    with pytest.raises(CheckpointError, match=r"layout: got 'npz'; choose one of transformers"):
        save_clip(mixed, tmp_path / "out", layout="npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file: cannot write there"):
        save_clip(mixed, tmp_path / "file")
