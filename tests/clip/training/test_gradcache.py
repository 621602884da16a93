"""Gradients of parts at a time are those of the whole batch, dropout included."""

import copy
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from clipcond.clip.training import gradcache
from clipcond.clip.training.distributed import mean, world
from clipcond.clip.training.losses import LOSSES
from clipcond.clip.training.towers import Compared
from tests.clip.training.test_distributed import assert_alike, rows_of, tiny_towers, whole_batch
from tests.clip.training.together import together

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def gradients(towers, batch, name, chunk, extra=None):
    """(loss, gradients, running statistics) from a seed."""
    towers = copy.deepcopy(towers)
    torch.manual_seed(3)
    loss = gradcache.backward(towers, batch, LOSSES[name], chunk=chunk, extra=extra)
    found = {n: p.grad for n, p in towers.named_parameters() if p.grad is not None}
    return loss, found, {n: b for n, b in towers.named_buffers() if "running" in n}


def backward_in_one_graph(towers, batch, name, count):
    """The same parts, their features kept with their graphs, as much memory as that takes."""
    seen = [towers(part.pixels, part.tokens, part.ends) for part in batch.parts(count)]
    joined = Compared(
        torch.cat([each.image for each in seen]),
        torch.cat([each.text for each in seen]),
        seen[-1].scale,
        seen[-1].bias,
    )
    loss = LOSSES[name](joined, batch.pictures, batch.captions)
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in towers.named_parameters() if p.grad is not None}


def in_one_graph(towers, batch, name, count):
    """What `gradients` gives, of parts in one graph."""
    towers = copy.deepcopy(towers)
    torch.manual_seed(3)
    loss, found = backward_in_one_graph(towers, batch, name, count)
    return loss, found, {n: b for n, b in towers.named_buffers() if "running" in n}


def dropping(towers, share=0.3):
    """With real dropout behind every MLP and in attention."""
    for part in towers.modules():
        if type(part).__name__ == "CLIPMLP":
            part.fc2 = torch.nn.Sequential(part.fc2, torch.nn.Dropout(share))
        if type(part).__name__ == "CLIPAttention":
            part.dropout = share
    return towers


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("chunk", [1, 3, 4, 11, 50])
def test_parts_make_the_gradient_of_the_whole_batch(name, chunk):
    towers, batch = tiny_towers("vit"), whole_batch("vit")
    loss, expected, _ = gradients(towers, batch, name, None)
    found = gradients(towers, batch, name, chunk)
    assert abs(found[0] - loss) < 1e-12
    assert_alike(found[1], expected, 1e-10)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("name", LOSSES)
def test_dropout_drops_the_same_in_both_forwards(kind, name):
    """A part draws its own random numbers, so the reference is the same parts in one graph; batch norms are trained."""
    towers, batch = dropping(tiny_towers(kind)), whole_batch(kind)
    loss, expected, statistics = in_one_graph(towers, batch, name, 3)
    found = gradients(towers, batch, name, 4)
    assert abs(found[0] - loss) < 1e-6
    assert_alike(found[1], expected, 1e-6)
    for key, value in statistics.items():  # counted once, not in both forwards
        assert torch.allclose(found[2][key], value, rtol=0, atol=1e-12), key
    assert gradients(towers, batch, name, None)[0] != loss  # there was dropout


def share_of(kind):
    """(towers that drop, this process's unequal share)."""
    rank = dist.get_rank()
    torch.manual_seed(3 + rank)
    return dropping(tiny_towers(kind)), rows_of(whole_batch(kind), *((0, 8), (8, 11))[rank])


def in_parts_under_ddp(kind, name):
    towers, batch = share_of(kind)
    model = DistributedDataParallel(towers, broadcast_buffers=False)
    loss = gradcache.backward(model, batch, LOSSES[name], chunk=3, no_sync=model.no_sync)
    found = {n: p.grad for n, p in towers.named_parameters()}
    return mean(loss), found, {n: b for n, b in towers.named_buffers() if "running" in n}


def in_one_graph_by_hand(kind, name):
    towers, batch = share_of(kind)
    loss, _ = backward_in_one_graph(towers, batch, name, 3)
    found = {n: mean(p.grad) for n, p in towers.named_parameters()}
    return mean(loss), found, {n: b for n, b in towers.named_buffers() if "running" in n}


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_drop_the_same_in_both_forwards(kind, name):
    """Under DDP, eight rows and three in three parts; a batch norm sees the same part of both processes at once."""
    expected = together(2, in_one_graph_by_hand, kind, name)[0]
    for loss, found, statistics in together(2, in_parts_under_ddp, kind, name):
        assert abs(loss - expected[0]) < 1e-10
        assert_alike(found, expected[1])
        assert statistics.keys() == expected[2].keys()
        assert all(
            torch.allclose(statistics[n], t, rtol=0, atol=1e-12) for n, t in expected[2].items()
        )


def test_a_resnet_with_frozen_norms_equals_the_whole_batch():
    towers, batch = tiny_towers("resnet"), whole_batch("resnet")
    for part in towers.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()
    _, expected, _ = gradients(towers, batch, "infonce", None)
    assert_alike(gradients(towers, batch, "infonce", 2)[1], expected, 1e-10)


def test_random_numbers_afterwards_are_those_of_one_pass():
    towers, batch = dropping(tiny_towers("vit")), whole_batch("vit")
    gradients(towers, batch, "infonce", 4)
    after = torch.rand(3)
    in_one_graph(towers, batch, "infonce", 3)
    assert torch.equal(after, torch.rand(3))


class Reading(torch.nn.Module):
    """A linear reading of the pictures' features, begun from a seed."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = torch.nn.Linear(8, 2).double()

    def forward(self, seen, target):
        return (self.head(seen.image) - target).square().sum()


def targeted():
    target = torch.arange(22, dtype=torch.float64).reshape(11, 2).sin()
    return replace(whole_batch("vit"), target=target)


def with_a_reading(sizes, chunk):
    """Gradients to towers and reading that DDP would arrive at, of this process's share."""
    rank, _ = world()
    share = rows_of(targeted(), sum(sizes[:rank]), sum(sizes[: rank + 1]))
    reading = Reading()
    found = gradients(tiny_towers("vit"), share, "infonce", chunk, reading)[1]
    return {n: mean(g) for n, g in found.items()} | {
        n: mean(p.grad) for n, p in reading.named_parameters()
    }


def test_another_objective_is_a_mean_over_all_pairs():
    towers, batch, reading = tiny_towers("vit"), targeted(), Reading()
    seen = towers(batch.pixels, batch.tokens, batch.ends)
    loss = LOSSES["infonce"](seen, batch.pictures, batch.captions)
    (loss + (reading.head(seen.image) - batch.target).square().sum(1).mean()).backward()
    expected = {
        n: p.grad
        for part in (towers, reading)
        for n, p in part.named_parameters()
        if p.grad is not None
    }
    for chunk in (None, 4):
        assert_alike(with_a_reading([11], chunk), expected)
    for found in together(3, with_a_reading, [7, 0, 4], 3):
        assert_alike(found, expected)


def test_nothing_has_a_gradient_of_zeros():
    towers, batch = tiny_towers("vit"), whole_batch("vit").parts(20)[0]
    assert len(batch) == 0
    loss, found, _ = gradients(towers, batch, "infonce", 4)
    assert loss == 0
    assert all(g.isfinite().all() and not g.any() for g in found.values())


_SCRIPT = """
import resource, sys, torch
from clipcond.clip.training import gradcache
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.building import build_clip
from clipcond.clip.training.losses import infonce
from clipcond.clip.training.towers import Towers
from tests.tiny import clip_tokenizer
torch.set_num_threads(1)
rows, chunk = int(sys.argv[1]), int(sys.argv[2])
towers = Towers(build_clip("tiny", clip_tokenizer(), 0)).train()
batch = Batch(pixels=torch.randn(rows, 3, 32, 32), tokens=torch.randint(0, 40, (rows, 16)), ends=torch.full((rows,), 9),
              pictures=torch.arange(rows), captions=torch.arange(rows))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
gradcache.backward(towers, batch, infonce, chunk=chunk)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_sixteen_times_the_batch_takes_the_memory_of_one():
    # glibc gives large blocks back at once then, so that what is resident is what is in use
    settings = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}

    def peak(rows, chunk):
        """Above what Python, torch, the towers and the batch take."""
        line = [sys.executable, "-c", _SCRIPT, str(rows), str(chunk)]
        found = subprocess.run(line, capture_output=True, text=True, check=True, env=settings)
        return int(found.stdout)

    small, large, uncached = peak(64, 64), peak(64 * 16, 64), peak(64 * 16, 64 * 16)
    assert large <= 1.2 * small
    assert uncached > 8 * small  # so that there was something to save
