"""Gradients over several processes are those of one process with the whole batch (float64, real gloo, real DDP)."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from clipcond.clip.architecture import ImageTower
from clipcond.clip.training import gradcache
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.building import build_clip
from clipcond.clip.training.distributed import gather, mean, world
from clipcond.clip.training.losses import LOSSES, ROWS
from clipcond.clip.training.norms import GlobalBatchNorm2d, synchronise
from clipcond.clip.training.presets import Preset, find_preset
from clipcond.clip.training.towers import Towers
from tests.clip.training.together import together
from tests.tiny import clip_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# how many rows of eleven each process has
SHARES = {1: [11], 2: [6, 5], 3: [4, 0, 7], 4: [1, 5, 3, 2]}


def tiny_towers(kind, dropout=0.0):
    """Small towers in float64, in training, the same in every process."""
    from dataclasses import replace

    tokenizer = clip_tokenizer()
    sizes = find_preset("tiny" if kind == "vit" else "tiny-resnet").architecture
    text = replace(sizes.text, width=16, layers=1, heads=2, mlp=32)
    image = (
        replace(sizes.image, image_size=16, width=16, layers=1, heads=2, mlp=32)
        if kind == "vit"
        else ImageTower(
            image_size=32,
            width=4,
            layers=(1, 1, 1, 1),
            heads=2,
            mlp=None,
            patch=None,
            activation="relu",
        )
    )
    architecture = replace(sizes, text=text, image=image, dim=8)
    clip = build_clip(Preset(architecture=architecture, batch=8, rate=1e-3), tokenizer, 0)
    if dropout:
        for part in clip.model.modules():
            if hasattr(part, "dropout") and isinstance(part.dropout, float):
                part.dropout = dropout
    towers = Towers(clip, bias=-3.0).double().train()
    synchronise(towers)
    return towers


def whole_batch(kind, rows=11, alike=True):
    """Pairs, some of which share a picture or a caption."""
    made = torch.Generator().manual_seed(1)
    side = 16 if kind == "vit" else 32
    pictures, captions = torch.arange(rows), torch.arange(rows)
    if alike:
        pictures[7] = pictures[2]
        captions[9] = captions[0]
    return Batch(
        pixels=torch.randn(rows, 3, side, side, generator=made, dtype=torch.float64),
        tokens=torch.randint(0, 40, (rows, 8), generator=made),
        ends=torch.randint(3, 8, (rows,), generator=made),
        pictures=pictures,
        captions=captions,
    )


def rows_of(batch, start, end):
    return batch._each(lambda column: column[start:end])


def gradients(kind, name, sizes, chunk, rows=ROWS):
    """(the loss, gradients by name, running statistics) of this process's share."""
    rank, processes = world()
    towers = tiny_towers(kind)
    if name == "infonce":
        towers.bias.requires_grad_(False)
    batch = whole_batch(kind)
    share = rows_of(batch, sum(sizes[:rank]), sum(sizes[: rank + 1]))
    model = DistributedDataParallel(towers, broadcast_buffers=False) if processes > 1 else towers
    loss = gradcache.backward(
        model,
        share,
        partial(LOSSES[name], rows=rows),
        chunk=chunk,
        no_sync=model.no_sync if processes > 1 else nullcontext,
    )
    found = {n: p.grad.clone() for n, p in towers.named_parameters() if p.grad is not None}
    statistics = {n: b.clone() for n, b in towers.named_buffers() if "running" in n}
    return mean(loss), found, statistics


def assert_alike(found, expected, tolerance=1e-9):
    assert found.keys() == expected.keys()
    largest = max(t.abs().max() for t in expected.values())
    for name, tensor in expected.items():
        difference = (found[name] - tensor).abs().max() / largest
        assert difference < tolerance, (name, difference)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("processes", [2, 3, 4])
def test_gradients_are_those_of_one_process(kind, name, processes):
    expected = gradients(kind, name, SHARES[1], None)
    assert expected[1].keys() >= {"model.logit_scale"}
    assert ("bias" in expected[1]) is (name == "sigmoid")
    for loss, found, statistics in together(
        processes, gradients, kind, name, SHARES[processes], None
    ):
        assert abs(loss - expected[0]) < 1e-10
        assert_alike(found, expected[1])
        if kind == "resnet":
            assert_alike(statistics, expected[2])


@pytest.mark.parametrize("name", LOSSES)
def test_chunks_of_several_processes_make_the_same_gradient(name):
    expected = gradients("vit", name, SHARES[1], None)
    for chunk in (2, 5):
        for loss, found, _ in together(2, gradients, "vit", name, [8, 3], chunk):
            assert abs(loss - expected[0]) < 1e-10
            assert_alike(found, expected[1])


@pytest.mark.parametrize("name", LOSSES)
def test_similarities_of_several_processes_are_made_in_pieces(name):
    """Processes that make one piece and three, which transfers in a piece would not survive."""
    expected = gradients("vit", name, SHARES[1], None)
    for loss, found, _ in together(2, gradients, "vit", name, [9, 2], None, 3):
        assert abs(loss - expected[0]) < 1e-10
        assert_alike(found, expected[1])


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("chunk", [None, 2])
def test_a_step_that_no_process_has_a_row_of_is_a_gradient_of_zeros(kind, chunk):
    for loss, found, statistics in together(2, gradients, kind, "infonce", [0, 0], chunk):
        assert loss == 0
        assert found
        assert not any(gradient.any() for gradient in found.values())
        assert all(tensor.isfinite().all() for tensor in statistics.values())


def gathered(sizes):
    """The gradient of this process's rows of a sum that every process weighs in its own way."""
    rank = dist.get_rank()
    own = torch.full((sizes[rank], 2), float(rank), dtype=torch.float64, requires_grad=True)
    every = gather(own)
    (every.sum() * (rank + 1)).backward()
    return every.detach(), own.grad


def test_rows_are_gathered_in_the_order_of_processes_and_gradients_are_summed():
    sizes = [2, 0, 3]
    for rank, (every, gradient) in enumerate(together(3, gathered, sizes)):
        assert every[:, 0].tolist() == [0, 0, 2, 2, 2]
        assert gradient.tolist() == [[6.0, 6.0]] * sizes[rank]


def test_one_process_alone_needs_no_group():
    rows = torch.arange(4.0, requires_grad=True)
    assert gather(rows) is rows
    assert mean(rows).tolist() == rows.tolist()


def test_batch_norms_become_global_in_place():
    towers = tiny_towers("resnet")
    norms = [part for part in towers.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert norms
    assert all(isinstance(part, GlobalBatchNorm2d) for part in norms)
