"""Digests see any bit; fingerprints of encoders are told apart, remembered, and no obstacle to weights of other kinds."""

import copy

import torch
from torch import nn

from clipcond.identity import fingerprint, weights_digest
from tests.tiny import tiny_text_encoder


def test_two_encoders_are_told_apart_and_a_change_is_seen():
    one, same, other = (tiny_text_encoder(seed) for seed in (0, 0, 1))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    first = fingerprint(one)
    assert fingerprint(one) is first  # remembered
    with torch.no_grad():
        one.final_layer_norm.weight.add_(0.5)
    assert not fingerprint(one).matches(first)


def test_another_precision_matches_and_another_encoder_in_it_does_not():
    whole = fingerprint(tiny_text_encoder(0))
    assert fingerprint(tiny_text_encoder(0).to(torch.bfloat16)).matches(whole)
    assert fingerprint(tiny_text_encoder(0).half()).matches(whole)
    assert not fingerprint(tiny_text_encoder(1).half()).matches(whole)


def test_weights_that_are_elsewhere_have_none():
    assert fingerprint(tiny_text_encoder(0).to("meta")) is None


class Packed(torch.Tensor):
    """A tensor without storage, as quantisers make them."""

    @staticmethod
    def __new__(cls, shape):
        return torch.Tensor._make_wrapper_subclass(cls, shape, dtype=torch.float32)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return args[0]
        raise NotImplementedError(f"no values: {func}")


def test_quantised_tensors_are_left_out():
    module = nn.Linear(4, 4)
    before = fingerprint(module)
    module.weight = nn.Parameter(Packed((4, 4)), requires_grad=False)
    assert fingerprint(module) not in (None, before)


def test_a_digest_changes_with_name_type_shape_and_any_bit():
    tensors = {"a": torch.arange(6.0), "b": torch.ones(2, 3, dtype=torch.bfloat16)}
    first = weights_digest(tensors)
    assert weights_digest(dict(reversed(tensors.items()))) == first
    changed = copy.deepcopy(tensors)
    changed["a"][3] += 1e-6
    variants = [changed, {"a": tensors["a"].reshape(2, 3), "b": tensors["b"]}]
    variants += [
        {"c": tensors["a"], "b": tensors["b"]},
        {"a": tensors["a"].double(), "b": tensors["b"]},
    ]
    assert len({first, *map(weights_digest, variants)}) == 5
