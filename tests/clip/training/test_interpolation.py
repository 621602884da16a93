"""Weights between before and after: exact at both ends, and the module as it was afterwards."""

import copy

import pytest
import torch

from clipcond.clip.training.interpolation import sweep, wise_ft
from clipcond.clip.training.towers import Towers
from clipcond.errors import ClipcondError
from tests.clip.training.small_clips import KINDS, batch, small_clip, step


def before_and_after(kind):
    clip = small_clip(kind)
    towers = Towers(clip)
    before = copy.deepcopy(towers.state_dict())
    for _ in range(3):
        step(towers, batch(clip), rate=0.1)
    return towers, before, copy.deepcopy(towers.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_ends_are_exact_and_the_middle_is_between(kind):
    _, before, after = before_and_after(kind)
    for alpha, end in ((0, before), (1, after)):
        found = wise_ft(before, after, alpha)
        assert found.keys() == end.keys()
        assert all(torch.equal(found[name], end[name]) for name in end)
    quarter = wise_ft(before, after, 0.25)
    for name, tensor in quarter.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, 0.75 * before[name] + 0.25 * after[name])
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_sweep_evaluates_each_and_leaves_what_was_trained():
    towers, before, after = before_and_after("resnet")
    name = "model.text_projection.weight"

    def evaluate():
        return towers.state_dict()[name].clone()

    rows = sweep(
        towers,
        before,
        towers.state_dict(),
        alphas=(0, 0.5, 1),
        evaluate=evaluate,
    )
    assert [row.alpha for row in rows] == [0.0, 0.5, 1.0]
    for row in rows:
        assert torch.equal(row.result, wise_ft(before, after, row.alpha)[name])
    assert all(torch.equal(t, after[n]) for n, t in towers.state_dict().items())


def test_a_sweep_that_fails_leaves_what_was_trained():
    towers, before, after = before_and_after("vit")
    with pytest.raises(ZeroDivisionError):
        sweep(towers, before, after, alphas=(0,), evaluate=lambda: 1 / 0)
    assert all(torch.equal(t, after[n]) for n, t in towers.state_dict().items())


def test_what_is_not_between_is_refused():
    one = {"a": torch.ones(2)}
    with pytest.raises(ClipcondError, match=r"alpha: got 1\.5; it is between 0 \(before\) and 1"):
        wise_ft(one, one, 1.5)
    with pytest.raises(ClipcondError, match="a, b is in one of the states alone"):
        wise_ft(one, {"b": torch.ones(2)}, 0.5)
