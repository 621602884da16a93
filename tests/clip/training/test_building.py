"""From nothing: OpenAI's sizes and initialisation; saved, read back and trained, all is equal to the last bit."""

import math
from dataclasses import replace

import pytest
import torch

from clipcond.clip import load_clip, save_clip
from clipcond.clip.training import building
from clipcond.clip.training.building import build_clip, start_clip, trained
from clipcond.clip.training.presets import PRESETS, find_preset
from clipcond.clip.training.towers import Towers
from clipcond.errors import CheckpointError, ClipcondError
from tests.clip.training.small_clips import (
    KINDS,
    batch,
    compared,
    preset,
    small_clip,
    small_siglip,
    step,
    tokenizer,
)
from tests.tiny import clip_tokenizer, save_tiny_clip

# millions of parameters, in open_clip's docs/model_profile.csv
PUBLISHED = {"RN50": 102.01, "ViT-B/32": 151.28, "ViT-B/16": 149.62, "ViT-L/14": 427.62}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_of_openai_have_openais_sizes(name):
    with torch.device("meta"):
        model = building._towers(PRESETS[name].architecture)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(
        PUBLISHED[name], abs=0.006
    )


def test_tiny_presets_learn_their_vocabulary():
    learns = {name for name in PRESETS if PRESETS[name].learns_vocabulary}
    assert learns == {"tiny", "tiny-resnet"}


@pytest.mark.parametrize("kind", KINDS)
def test_is_a_function_of_the_seed_and_leaves_torchs_numbers_alone(kind):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other = small_clip(kind), small_clip(kind)
    assert torch.equal(torch.rand(3), expected)
    assert one.digest == other.digest != small_clip(kind, seed=1).digest
    assert one.model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))


def test_text_tower_begins_as_openais():
    model = small_clip("vit").model
    block, width, layers = model.text_model.encoder.layers[1], 32, 3
    expected = {
        model.text_model.embeddings.token_embedding.weight: 0.02,
        model.text_model.embeddings.position_embedding.weight: 0.01,
        block.self_attn.q_proj.weight: width**-0.5,
        block.self_attn.out_proj.weight: width**-0.5 * (2 * layers) ** -0.5,
        block.mlp.fc1.weight: (2 * width) ** -0.5,
        block.mlp.fc2.weight: width**-0.5 * (2 * layers) ** -0.5,
        model.text_projection.weight: width**-0.5,
    }
    for weight, std in expected.items():
        assert weight.std().item() == pytest.approx(std, rel=0.1)
    assert not block.self_attn.v_proj.bias.any()


def test_vit_begins_as_openais():
    model, width = small_clip("vit").model, 48
    embeddings, attention = model.vision_model.embeddings, model.vision_model.encoder.layers[0]
    assert embeddings.class_embedding.std().item() == pytest.approx(width**-0.5, rel=0.35)
    assert embeddings.position_embedding.weight.std().item() == pytest.approx(width**-0.5, rel=0.1)
    # torch's own MultiheadAttention, as OpenAI's blocks have it
    reference = torch.nn.MultiheadAttention(width, 3).in_proj_weight
    assert attention.self_attn.q_proj.weight.std().item() == pytest.approx(
        reference.std().item(), rel=0.1
    )
    assert attention.self_attn.q_proj.weight.abs().max() <= reference.abs().max() * 1.05


def test_resnet_begins_as_openais():
    visual = small_clip("resnet").model.visual
    blocks = [block for i in (1, 2, 3, 4) for block in getattr(visual, f"layer{i}")]
    assert all(not block.bn3.weight.any() and block.bn1.weight.all() for block in blocks)
    assert visual.bn3.weight.all()  # the stem's, which is no block's
    assert visual.attnpool.c_proj.weight.std().item() == pytest.approx((8 * 32) ** -0.5, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "layout"), [("vit", "transformers"), ("vit", "openclip"), ("resnet", None)]
)
def test_trained_saved_and_read_back_is_equal_to_the_last_bit(kind, layout, tmp_path):
    clip = build_clip(preset(kind), tokenizer(), 0, layout=layout)
    towers, pairs = Towers(clip), batch(clip)
    first = [step(towers, pairs, rate=0.1) for _ in range(5)]
    assert first[-1] < first[0]
    after = trained(clip, towers)
    assert after.digest != clip.digest
    assert not after.model.training
    save_clip(after, tmp_path / "out", layout=after.layout)
    again = load_clip(tmp_path / "out")
    assert again.digest == after.digest
    assert again.assumed == ()
    for name in ("architecture", "preprocessing", "logit_bias", "layout"):
        assert getattr(again, name) == getattr(after, name)
    assert again.reader.name == after.reader.name
    with torch.no_grad():
        one, other = compared(towers, pairs), compared(Towers(again), pairs)
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.text, other.text)


def test_an_added_bias_is_saved_with_openclip(tmp_path):
    clip = build_clip(preset("vit"), tokenizer(), 0, layout="openclip")
    towers = Towers(clip, bias=-10.0)
    assert compared(towers, batch(clip)).bias.item() == -10.0
    towers.bias.data.fill_(-9.876)
    after = trained(clip, towers)
    save_clip(after, tmp_path / "out", layout="openclip")
    again = load_clip(tmp_path / "out")
    assert again.logit_bias == after.logit_bias == towers.bias.item()
    assert again.digest == after.digest


def test_siglip_trains_with_its_own_bias(tmp_path):
    clip = small_siglip(tmp_path / "siglip")
    towers, pairs = Towers(clip), batch(clip)
    losses = [step(towers, pairs) for _ in range(5)]
    assert losses[-1] < losses[0]
    after = trained(clip, towers)
    save_clip(after, tmp_path / "out")
    again = load_clip(tmp_path / "out")
    assert again.digest == after.digest != clip.digest
    assert again.logit_bias == after.logit_bias == towers.logit_bias.item()


def test_goes_on_from_any_checkpoint(tmp_path):
    save_tiny_clip(tmp_path / "clip")
    clip = start_clip(tmp_path / "clip")
    assert clip.digest == load_clip(tmp_path / "clip").digest
    assert start_clip("emoji").architecture.image.image_size == 32


def test_what_cannot_be_built_is_said():
    with pytest.raises(ClipcondError, match=r"preset: got 'RN51'; choose one of tiny, .*RN50"):
        find_preset("RN51")
    with pytest.raises(ClipcondError, match="transformers has no ResNet image tower; choose open"):
        build_clip("tiny-resnet", tokenizer(), 0, layout="transformers")
    with pytest.raises(ClipcondError, match="layout: got 'jax'; choose one of transformers, open"):
        build_clip("tiny", tokenizer(), 0, layout="jax")
    wrong = clip_tokenizer()
    wrong.add_tokens(["<extra>"])
    with pytest.raises(CheckpointError, match="whose end token has the highest id"):
        build_clip("tiny", wrong, 0)


def test_ones_own_preset():
    small = preset("vit")
    wider = replace(small, architecture=replace(small.architecture, dim=40))
    assert build_clip(wider, tokenizer(), 0).architecture.dim == 40
