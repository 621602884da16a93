"""The losses against their formulas, in pieces against at once, and what duplicates do."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from clipcond.clip.training.losses import LOSSES, clamp_scale, infonce, sigmoid
from clipcond.clip.training.towers import Compared
from clipcond.errors import ClipcondError
from tests.clip.training.test_distributed import tiny_towers


def compared(rows, seed=0, dim=5):
    """Random unit features in float64 with gradients."""
    made = torch.Generator().manual_seed(seed)
    image, text = (
        F.normalize(torch.randn(rows, dim, generator=made, dtype=torch.float64), dim=-1)
        for _ in range(2)
    )
    scale, bias = torch.tensor(7.0, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)
    return Compared(*(t.requires_grad_() for t in (image, text, scale, bias)))


def numbers(rows):
    return torch.arange(rows)


def gradients(loss, seen):
    return torch.autograd.grad(loss, seen, allow_unused=True)


def test_infonce_is_the_papers_figure_3():
    seen = compared(6)
    logits = seen.scale * seen.image @ seen.text.T
    labels = torch.arange(6)
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    assert torch.allclose(infonce(seen, numbers(6), numbers(6)), expected, rtol=0, atol=1e-12)


def test_sigmoid_is_the_papers_algorithm_1():
    seen = compared(6)
    logits = seen.image @ seen.text.T * seen.scale + seen.bias
    labels = 2 * torch.eye(6) - torch.ones(6, 6)
    expected = -F.logsigmoid(labels * logits).sum() / 6
    assert torch.allclose(sigmoid(seen, numbers(6), numbers(6)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@given(rows=st.integers(1, 9), at_once=st.integers(1, 9), seed=st.integers(0, 99))
def test_pieces_make_the_same_value_and_gradient(name, rows, at_once, seed):
    seen, loss = compared(rows, seed), LOSSES[name]
    pictures = torch.arange(rows) % 7
    whole = loss(seen, pictures, numbers(rows))
    pieces = loss(seen, pictures, numbers(rows), rows=at_once)
    assert torch.allclose(whole, pieces, rtol=0, atol=1e-12)
    for one, other in zip(gradients(whole, seen), gradients(pieces, seen), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_differences(name):
    seen = compared(4)
    numbered = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 3])
    assert torch.autograd.gradcheck(
        lambda *parts: LOSSES[name](Compared(*parts), *numbered), tuple(seen)
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("what", ["picture", "caption"])
@given(place=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_copy_does_not_push_its_original_away(name, what, place, seed):
    """Neither of two rows with one picture (or one caption) is a negative of the other: moving the one's caption towards the
    other's picture costs nothing."""
    seen = compared(5, seed)
    shared = torch.arange(5)
    shared[4] = shared[place]
    pair = (shared, numbers(5)) if what == "picture" else (numbers(5), shared)
    alone = LOSSES[name](seen, *pair)
    # a negative that is right would have a gradient along the other's features in these places
    logits = seen.scale * seen.image @ seen.text.T + (seen.bias if name == "sigmoid" else 0)
    out = torch.zeros(5, 5, dtype=torch.bool)
    out[4, place] = out[place, 4] = True
    if name == "infonce":
        kept = logits.masked_fill(out, -math.inf)
        labels = torch.arange(5)
        expected = (F.cross_entropy(kept, labels) + F.cross_entropy(kept.T, labels)) / 2
    else:
        expected = -F.logsigmoid((2 * torch.eye(5) - 1) * logits)[~out].sum() / 5
    assert torch.allclose(alone, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_one_pair_have_finite_gradients(name, rows):
    seen = compared(rows)
    loss = LOSSES[name](seen, numbers(rows), numbers(rows))
    assert loss.isfinite()
    loss.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in seen)


def test_all_alike_leaves_infonce_nothing_to_learn():
    seen = compared(4)
    loss = infonce(seen, torch.zeros(4, dtype=torch.int64), numbers(4))
    assert loss == 0
    assert not any(g.abs().sum() for g in gradients(loss, seen))


def test_the_sigmoid_loss_wants_a_bias():
    seen = compared(3)._replace(bias=None)
    with pytest.raises(ClipcondError, match="bias"):
        sigmoid(seen, numbers(3), numbers(3))


@pytest.mark.parametrize(("before", "after"), [(9.0, math.log(100)), (-1.0, 0.0), (2.0, 2.0)])
def test_the_scale_stays_between_1_and_100(before, after):
    towers = tiny_towers("vit")
    towers.model.logit_scale.data.fill_(before)
    clamp_scale(towers)
    assert towers.model.logit_scale.item() == pytest.approx(after)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_square(tmp_path):
    """16,384 pairs: one N x N of float32 is a gigabyte, and both directions' logits and their gradients several."""
    import subprocess
    import sys

    script = (
        "import resource, sys, torch, torch.nn.functional as F\n"
        "from clipcond.clip.training.losses import LOSSES\n"
        "from clipcond.clip.training.towers import Compared\n"
        "n = 16384\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "parts = [F.normalize(torch.randn(n, 32), dim=-1) for _ in range(2)] + [torch.tensor(10.0), torch.tensor(-5.0)]\n"
        "seen = Compared(*(part.requires_grad_() for part in parts))\n"
        "LOSSES[sys.argv[1]](seen, torch.arange(n), torch.arange(n), rows=512).backward()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    for name in LOSSES:
        found = subprocess.run(
            [sys.executable, "-c", script, name], capture_output=True, text=True, check=True
        )
        assert int(found.stdout) < 400_000, name  # kilobytes; N x N alone is 1,048,576
