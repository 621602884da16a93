"""LoRA changes nothing at first, trains little, and becomes plain weights again."""

import copy
import sys

import pytest
import torch

from clipcond.clip import load_clip, save_clip
from clipcond.clip.training.adapters import add_lora, merge
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


def small(kind, folder):
    return small_siglip(folder) if kind == "siglip" else small_clip(kind)


@pytest.mark.parametrize("kind", [*KINDS, "siglip"])
def test_trains_adapters_alone_and_merges_into_plain_weights(kind, tmp_path):
    clip = small(kind, tmp_path / "clip")
    towers, pairs = Towers(clip), batch(clip)
    before = copy.deepcopy(towers.state_dict())
    with torch.no_grad():
        plain = compared(towers.eval(), pairs)
    add_lora(towers, 4)
    with torch.no_grad():
        assert torch.equal(compared(towers, pairs).image, plain.image)
    losses = [step(towers, pairs, rate=0.1) for _ in range(4)]
    assert losses[-1] < losses[0]
    with torch.no_grad():
        adapted = compared(towers.eval(), pairs)
    merge(towers)
    after = towers.state_dict()
    assert after.keys() == before.keys()
    with torch.no_grad():
        merged = compared(towers, pairs)
    for one, other in zip(adapted[:2], merged[:2], strict=True):
        assert (one - other).abs().max() < 1e-6
    assert not torch.allclose(merged.image, plain.image, atol=1e-4)
    assert not torch.allclose(merged.text, plain.text, atol=1e-4)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    allowed = ("_proj.weight", ".fc1.weight", ".fc2.weight", "logit_scale", "logit_bias")
    assert all(name.endswith(allowed) for name in changed)
    # and it saves, reads and trains as if there had been none
    done = trained(clip, towers)
    save_clip(done, tmp_path / "out", layout=done.layout)
    assert load_clip(tmp_path / "out").digest == done.digest
    assert all(p.requires_grad for p in towers.parameters())
    assert towers.still == ()


def test_few_weights_are_trained():
    towers = Towers(small_clip("vit"))
    add_lora(towers, 2)
    names = {n for n, p in towers.named_parameters() if p.requires_grad}
    assert "model.logit_scale" in names
    assert all("lora_" in name for name in names - {"model.logit_scale"})
    assert len(names) == 1 + 2 * 6 * (3 + 2)  # of six projections in each block of both towers
    decayed = groups(towers, rate=1.0, weight_decay=0.1, layer_decay=0.5)
    assert sum(len(group["params"]) for group in decayed) == len(names)
    assert {group["scale"] for group in decayed} == {1.0, 0.5, 0.25}


def test_is_a_function_of_the_seed():
    def first(seed):
        towers = Towers(small_clip("vit"))
        add_lora(towers, 2, alpha=3, seed=seed)
        return towers.state_dict()

    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    one, other, third = first(0), first(0), first(1)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], third[name]) for name in one)


@pytest.mark.parametrize(
    ("which", "held", "free"), [("text", "text_model", "visual"), ("image", "visual", "text_model")]
)
def test_a_lock_holds_with_adapters_and_after_them(which, held, free):
    towers = Towers(small_clip("resnet"))
    lock(towers, which)
    add_lora(towers, 2)
    assert not any(p.requires_grad for p in getattr(towers.model, held).parameters())
    assert any(p.requires_grad for p in getattr(towers.model, free).parameters())
    merge(towers)
    assert not any(p.requires_grad for p in getattr(towers.model, held).parameters())
    assert all(p.requires_grad for p in getattr(towers.model, free).parameters())
    towers.train()
    assert getattr(towers.model, free).training
    assert not getattr(towers.model, held).training


def test_what_cannot_be_done_is_said(monkeypatch):
    towers = Towers(small_clip("vit"))
    with pytest.raises(ClipcondError, match="merge: these towers have no adapters"):
        merge(towers)
    with pytest.raises(ClipcondError, match="lora: got a rank of 0; it is at least 1"):
        add_lora(towers, 0)
    add_lora(towers, 1)
    with pytest.raises(ClipcondError, match="have adapters already; merge them first"):
        add_lora(towers, 1)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ClipcondError, match=r"needs peft: pip install 'clipcond\[train\]'"):
        add_lora(Towers(small_clip("vit")), 1)


def test_adapters_that_diverged_are_named():
    towers = Towers(small_clip("vit"))
    add_lora(towers, 1)
    layer = towers.model.text_model.encoder.layers[0].mlp.fc1
    layer.lora_B["default"].weight.data.fill_(torch.nan)
    with pytest.raises(ClipcondError, match=r"layers\.0\.mlp\.fc1: .*; the training diverged"):
        merge(towers)
