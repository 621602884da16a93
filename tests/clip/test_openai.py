"""OpenAI's archives, ViT and ResNet: equal to the original's code on the same weights, and to open_clip's numbers."""

import json

import pytest
import torch
from PIL import Image

from clipcond.clip import load_clip
from tests.clip.make_golden import GOLDEN, ids, pixels
from tests.clip.openai_model import is_half, openai_clip, save_archive
from tests.tiny import clip_tokenizer

pytestmark = pytest.mark.parity

TEXTS = ["a cat", "a red fox to the left of a blue ball", "a photo of two dogs"]


@pytest.fixture(scope="module", params=["vit", "resnet"])
def model(request):
    return openai_clip(request.param)


@pytest.fixture(scope="module")
def archive(model, tmp_path_factory):
    return save_archive(model, tmp_path_factory.mktemp("openai") / "model.pt")


@pytest.fixture(scope="module")
def stored(model, archive):
    """The original with the archive's rounded weights."""
    for name, parameter in model.named_parameters():
        if is_half(name):
            parameter.data = parameter.data.half().float()
    return model


@pytest.fixture(scope="module")
def clip(archive):
    return load_clip(archive, tokenizer=clip_tokenizer())


def test_sizes_are_inferred(clip, model):
    text, image = clip.architecture.text, clip.architecture.image
    assert (text.heads, text.activation, text.context) == (2, "quick_gelu", 77)
    assert image.image_size == int(model.input_resolution)
    assert clip.preprocessing.crop == (image.image_size, image.image_size)
    if clip.architecture.is_resnet:
        assert (image.layers, image.width, image.heads) == ((1, 2, 1, 1), 8, 4)
    assert clip.assumed == ()


def test_sizes_are_told_in_a_line(clip):
    tower = "ResNet (1-2-1-1 x 8, 64 pixels)" if clip.architecture.is_resnet else "ViT/"
    assert str(clip.architecture).startswith(f"clip of a {tower}")


def test_picture_features_are_the_originals(clip, stored):
    pictures = [Image.effect_noise((90, 70), 80).convert("RGB") for _ in range(3)]
    with torch.no_grad():
        theirs = stored.encode_image(clip.preprocessing(pictures))
    assert torch.allclose(clip.encode_pictures(pictures), theirs, atol=1e-5)


def test_text_features_are_the_originals(clip, stored):
    rows = clip.tokenizer(TEXTS)["input_ids"]
    padded = torch.tensor([row + [0] * (77 - len(row)) for row in rows])  # OpenAI pads with 0
    with torch.no_grad():
        theirs = stored.encode_text(padded)
    assert torch.allclose(clip.encode_texts(TEXTS).features, theirs, atol=1e-5)


def test_features_are_open_clips_on_the_same_weights(model, tmp_path):
    """golden.json is written by make_golden.py, with open_clip itself."""
    vision = "vit" if hasattr(model.visual, "proj") else "resnet"
    golden = json.loads(GOLDEN.read_text())[vision]
    fresh = openai_clip(vision)
    file = tmp_path / "plain.pt"
    torch.save(fresh.state_dict(), file)
    clip = load_clip(file, tokenizer=clip_tokenizer())
    with torch.no_grad():
        image = clip.model.get_image_features(pixel_values=pixels(fresh)).pooler_output
        hidden = clip.model.text_model(input_ids=ids()).last_hidden_state
        text = clip.model.text_projection(hidden[torch.arange(2), ids().argmax(dim=-1)])
    assert torch.allclose(image, torch.tensor(golden["image"]), atol=1e-5)
    assert torch.allclose(text, torch.tensor(golden["text"]), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_towers_run_in_half_precision(archive, clip, dtype):
    half = load_clip(archive, tokenizer=clip_tokenizer(), dtype=dtype)
    pictures = [Image.effect_noise((64, 64), 80).convert("RGB")]
    assert half.model.dtype == dtype
    features = half.encode_pictures(pictures)
    assert features.dtype == dtype
    assert torch.allclose(features.float(), clip.encode_pictures(pictures), atol=0.2)


def test_no_code_of_the_archive_runs(archive, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("the archive was run")

    monkeypatch.setattr(torch.jit, "load", forbidden)
    monkeypatch.setattr(torch, "load", forbidden)
    load_clip(archive, tokenizer=clip_tokenizer())
