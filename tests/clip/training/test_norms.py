"""Batch norms over all processes: torch's own for the whole batch, whatever the shares."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from clipcond.clip.training.norms import GlobalBatchNorm2d, counting_once, synchronise
from tests.clip.training.together import together

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def maps(rows=9, dtype=torch.float64):
    made = torch.Generator().manual_seed(2)
    return 3 + 2 * torch.randn(rows, 4, 3, 2, generator=made, dtype=torch.float64).to(dtype)


def norm(dtype=torch.float64, momentum=0.1):
    made = nn.BatchNorm2d(4, momentum=momentum).to(dtype)
    with torch.no_grad():
        made.weight.copy_(torch.linspace(0.5, 2, 4))
        made.bias.copy_(torch.linspace(-1, 1, 4))
    return made


def passed(module, x, weights):
    """(what comes out, gradients to maps, gain and bias, running statistics) of two forwards and a backward of the second."""
    module(x)
    x = x.clone().requires_grad_()
    out = module(x)
    (out * weights).sum().backward()
    gradients = [x.grad, module.weight.grad, module.bias.grad]
    return out.detach(), gradients, dict(module.named_buffers())


def of_a_share(sizes, momentum):
    module = norm(momentum=momentum)
    synchronise(module)
    rank = dist.get_rank()
    own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    return passed(module, maps()[own], maps().sin()[own])


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("sizes", [[5, 4], [8, 0, 1]])
def test_shares_are_normalised_as_the_whole_batch(sizes, momentum):
    out, (maps_, gain, bias), running = passed(norm(momentum=momentum), maps(), maps().sin())
    found = together(len(sizes), of_a_share, sizes, momentum)
    assert torch.allclose(torch.cat([each[0] for each in found]), out, rtol=0, atol=1e-12)
    assert torch.allclose(torch.cat([each[1][0] for each in found]), maps_, rtol=0, atol=1e-12)
    # sums over processes: a process has the part of its own pictures
    assert torch.allclose(sum(each[1][1] for each in found), gain, rtol=0, atol=1e-11)
    assert torch.allclose(sum(each[1][2] for each in found), bias, rtol=0, atol=1e-11)
    for each in found:
        assert each[2].keys() == running.keys()
        assert all(
            torch.allclose(each[2][name], running[name], rtol=0, atol=1e-12) for name in running
        )


def of_nothing():
    module = norm()
    synchronise(module)
    return passed(module, maps()[:0], maps()[:0])


def test_a_batch_of_nothing_teaches_nothing():
    for out, gradients, running in [of_nothing(), *together(2, of_nothing)]:
        assert out.shape == (0, 4, 3, 2)
        assert not any(gradient.any() for gradient in gradients)
        assert running["num_batches_tracked"] == 0
        assert running["running_mean"].tolist() == [0.0] * 4
        assert running["running_var"].tolist() == [1.0] * 4


def in_bfloat16():
    module = norm(torch.float32)
    synchronise(module)
    return module(maps(dtype=torch.bfloat16)), dict(module.named_buffers())


def test_half_precision_is_summed_in_single():
    """Each of two processes has the whole batch, whose statistics are then those of one: they may not lose digits."""
    alone, statistics = in_bfloat16()
    assert alone.dtype == torch.bfloat16
    for out, running in together(2, in_bfloat16):
        assert out.dtype == torch.bfloat16
        assert torch.allclose(out.float(), alone.float(), atol=0.02)
        assert torch.allclose(running["running_mean"], statistics["running_mean"], rtol=1e-5)


def test_one_process_has_torchs_own():
    ours, own = norm(), norm()
    synchronise(ours)
    found, expected = (passed(module, maps(), maps().sin()) for module in (ours, own))
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(one, other) for one, other in zip(found[1], expected[1], strict=True))


def test_one_value_a_channel_is_the_bias():
    """torch refuses it; a batch of one that a stream of broken pictures leaves is no reason to stop."""
    module = norm()
    synchronise(module)
    out = module(maps()[:1, :, :1, :1])
    assert torch.allclose(out.flatten(), module.bias)


def test_a_forward_that_comes_again_is_counted_once():
    module = norm()
    synchronise(module)
    with counting_once(module):
        first = module(maps())
    assert module.num_batches_tracked == 0
    assert torch.equal(first, module(maps()))
    assert module.num_batches_tracked == 1


def test_names_and_values_stay():
    module = nn.Sequential(norm(), nn.ReLU(), norm())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    synchronise(module)
    assert isinstance(module[0], GlobalBatchNorm2d)
    assert isinstance(module[2], GlobalBatchNorm2d)
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    module.eval()
    assert torch.equal(module[0](maps()), norm().eval()(maps()))
