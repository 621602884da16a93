"""Layers that nobody reads are not run; what is read is the same to the last bit."""

from dataclasses import replace

import pytest
import torch

from clipcond import Conditioner, EmbeddingCache
from clipcond.encoders import ClipTextEncoder
from clipcond.weighting import Row
from tests import tiny
from tests.doubles import BUILDERS

LAYERS = 5


def rows(encoder):
    ids = torch.arange(2 * encoder.length).reshape(2, -1) % 20 + 1
    ids[:, -1] = 0
    return [Row(tuple(line.tolist())) for line in ids]


@pytest.fixture
def module():
    torch.manual_seed(0)
    config = tiny.text_config(32)
    config.num_hidden_layers = LAYERS
    return type(tiny.tiny_text_encoder())(config).eval()


def ran(module):
    """Which layers run, in order."""
    inner = getattr(module, "text_model", module)
    seen = []
    for number, layer in enumerate(inner.encoder.layers):
        layer.register_forward_pre_hook(lambda *_, number=number: seen.append(number))
    return seen


@pytest.mark.parametrize("layer", [None, -1, -2, -3])
@pytest.mark.parametrize("skip", [0, 1, 2, 1.5])
def test_states_are_those_of_the_whole_model(module, layer, skip):
    whole = ClipTextEncoder(module, layer, skip)
    short = replace(whole, pooled=False)
    given, found = (each.encode(rows(whole), eos=0, pad=0) for each in (whole, short))
    assert torch.equal(found.states, given.states)
    assert found.ends is None
    assert given.ends is not None
    seen = ran(module)
    short.encode(rows(whole), eos=0, pad=0)
    left_out = (1 if layer is None else -layer) + skip - 1
    assert len(seen) == (LAYERS - left_out if left_out == int(left_out) else LAYERS)


@pytest.mark.parametrize("change", ["hook", "forward", "offloading"])
def test_a_model_that_does_more_when_called_is_called_as_a_whole(module, change):
    encoder = ClipTextEncoder(module, -2, pooled=False)
    expected = encoder.encode(rows(encoder), eos=0, pad=0).states
    called = []
    if change == "hook":
        module.register_forward_hook(lambda *_: called.append(1))
    elif change == "forward":
        own = module.forward
        module.forward = lambda *args, **more: (called.append(1), own(*args, **more))[1]
    else:
        from accelerate.hooks import ModelHook, add_hook_to_module

        class Counted(ModelHook):
            def pre_forward(self, module, *args, **kwargs):
                called.append(1)
                return args, kwargs

        add_hook_to_module(module, Counted())
    seen = ran(module)
    assert torch.equal(encoder.encode(rows(encoder), eos=0, pad=0).states, expected)
    assert called
    assert len(seen) == LAYERS


def test_the_model_itself_stays_whole(module):
    before = dict(module.named_modules())
    ClipTextEncoder(module, -3, pooled=False).encode(rows(ClipTextEncoder(module)), eos=0, pad=0)
    assert dict(module.named_modules()) == before


def test_a_cache_keeps_what_is_read_with_and_without_a_vector_apart():
    pipe = BUILDERS["sd1"]()
    cache = EmbeddingCache()
    conditioner = Conditioner.from_pipeline(pipe, cache=cache)
    (path,) = conditioner.paths
    given = conditioner("a cat").prompt_embeds
    pooled = replace(path.encoder, pooled=True)
    row = Row(tuple([1, 2, 0] + [0] * (pooled.length - 3)))
    for encoder in (path.encoder, pooled, path.encoder, pooled):
        output, _ = cache.encode(
            encoder, [row], lambda some, e=encoder: [e.encode(some, eos=0, pad=0)]
        )
        assert (output.ends is None) == (not encoder.pooled)
    assert torch.equal(conditioner("a cat").prompt_embeds, given)
