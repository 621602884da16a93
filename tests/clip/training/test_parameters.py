"""Which weights decay, at which rate which layer goes, and what a lock holds."""

import copy

import pytest
import torch

from clipcond.clip.training.building import trained
from clipcond.clip.training.parameters import groups, lock
from clipcond.clip.training.towers import Towers
from clipcond.errors import ClipcondError
from tests.clip.training.small_clips import (
    KINDS,
    batch,
    compared,
    small_clip,
    small_siglip,
    step,
)


def named_groups(towers, **options):
    """name -> its group."""
    options = {"rate": 1.0, "weight_decay": 0.2} | options
    found = {id(p): group for group in groups(towers, **options) for p in group["params"]}
    return {n: found[id(p)] for n, p in towers.named_parameters() if id(p) in found}


def small_towers(kind, folder):
    clip = small_siglip(folder) if kind == "siglip" else small_clip(kind)
    return Towers(clip, bias=None if kind == "siglip" else -10.0)


@pytest.mark.parametrize("kind", [*KINDS, "siglip"])
def test_every_weight_is_in_one_group_and_adamw_takes_them(kind, tmp_path):
    towers = small_towers(kind, tmp_path / "clip")
    found = groups(towers, rate=1e-3, weight_decay=0.2, layer_decay=0.7)
    ids = [id(p) for group in found for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in towers.parameters())
    optimizer = torch.optim.AdamW(found)
    assert all(g["lr"] == pytest.approx(1e-3 * g["scale"]) for g in optimizer.param_groups)


@pytest.mark.parametrize("kind", [*KINDS, "siglip"])
def test_only_what_is_multiplied_with_decays(kind, tmp_path):
    towers = small_towers(kind, tmp_path / "clip")
    still = (
        "bias",
        "norm",
        "layrnorm",
        "logit_scale",
        "position",
        "class_embedding",
        "probe",
        "bn",
    )
    for name, group in named_groups(towers).items():
        expected = 0.0 if any(part in name for part in still) or ".downsample.1." in name else 0.2
        assert group["weight_decay"] == expected, name
    assert sum(g["weight_decay"] == 0.2 for g in named_groups(towers).values()) > 20


def test_layers_of_a_vit_and_of_the_texts_slow_down_towards_the_input():
    found = {
        n: g["scale"] for n, g in named_groups(small_towers("vit", None), layer_decay=0.5).items()
    }
    expected = {
        "model.vision_model.embeddings.patch_embedding.weight": 0.25,
        "model.vision_model.pre_layrnorm.weight": 0.25,
        "model.vision_model.encoder.layers.0.mlp.fc1.weight": 0.5,
        "model.vision_model.encoder.layers.1.mlp.fc1.weight": 1.0,
        "model.vision_model.post_layernorm.weight": 1.0,
        "model.visual_projection.weight": 1.0,
        "model.text_model.embeddings.token_embedding.weight": 0.125,
        "model.text_model.encoder.layers.0.self_attn.q_proj.bias": 0.25,
        "model.text_model.encoder.layers.2.self_attn.q_proj.bias": 1.0,
        "model.text_model.final_layer_norm.weight": 1.0,
        "model.text_projection.weight": 1.0,
        "model.logit_scale": 1.0,
        "bias": 1.0,
    }
    assert {name: found[name] for name in expected} == expected


def test_stages_of_a_resnet_are_its_layers():
    found = {
        n: g["scale"]
        for n, g in named_groups(small_towers("resnet", None), layer_decay=0.5).items()
    }
    expected = {
        "model.visual.conv2.weight": 1 / 16,
        "model.visual.bn1.bias": 1 / 16,
        "model.visual.layer1.0.bn2.weight": 1 / 8,
        "model.visual.layer2.1.conv1.weight": 1 / 4,
        "model.visual.layer4.0.downsample.0.weight": 1.0,
        "model.visual.attnpool.c_proj.weight": 1.0,
    }
    assert {name: found[name] for name in expected} == expected


def test_another_module_has_no_layers():
    heads = torch.nn.Linear(3, 4)
    assert {n: (g["scale"], g["weight_decay"]) for n, g in named_groups(heads, layer_decay=0.5).items()} == {
        "weight": (1.0, 0.2), "bias": (1.0, 0.0),
    }  # fmt: skip


@pytest.mark.parametrize("decay", [0, 1.1, -1])
def test_a_layer_decay_out_of_range_is_refused(decay):
    with pytest.raises(ClipcondError, match=f"layer_decay: got {decay}; it is above 0"):
        groups(torch.nn.Linear(1, 1), rate=1, weight_decay=0, layer_decay=decay)


@pytest.mark.parametrize("kind", [*KINDS, "siglip"])
@pytest.mark.parametrize("which", ["image", "text"])
def test_a_locked_tower_stays_to_the_last_bit_and_the_other_learns(kind, which, tmp_path):
    towers = small_towers(kind, tmp_path / "clip")
    clip_batch = batch(small_siglip(tmp_path / "again") if kind == "siglip" else small_clip(kind))
    lock(towers, which)
    before = copy.deepcopy(towers.state_dict())
    for _ in range(2):
        step(towers, clip_batch)
    found = compared(towers.train(), clip_batch)
    mine, other = (found.image, found.text) if which == "image" else (found.text, found.image)
    assert not mine.requires_grad
    assert other.requires_grad
    part = {"image": "vis", "text": "text_"}[which]
    changed = {n for n, t in towers.state_dict().items() if not torch.equal(t, before[n])}
    assert not any(part in name for name in changed)  # a ResNet's running statistics included
    assert "model.logit_scale" in changed
    assert len(changed) > 10


def test_a_lock_outlives_copies_and_trained_clips():
    clip = small_clip("resnet")
    towers = Towers(clip)
    lock(towers, "image")
    copied = copy.deepcopy(towers).train()
    assert copied.training
    assert not any(module.training for module in copied.model.visual.modules())
    assert copied.still[0] is copied.model.visual
    assert "still" not in "".join(towers.state_dict())
    trained(clip, towers)
    assert towers.train().model.text_model.training


def test_there_are_two_towers_to_lock():
    with pytest.raises(ClipcondError, match="lock: got 'both'; choose one of image, text"):
        lock(Towers(small_clip("vit")), "both")
