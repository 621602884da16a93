"""However an encoder runs (offloaded, compiled, quantised), its results are those of the plain one, and it stays so.

The CPU stands in for the accelerator.
"""

import accelerate
import pytest
import torch
from diffusers.hooks import apply_group_offloading
from torch import nn

from clipcond import Conditioner
from tests import doubles as tiny
from tests.encoders.pipes import BUILD, CPU, eight_bits, encoders, moss, sequential

PROMPT, NEGATIVE = "a (red:1.3) cat", "[a] dog"
ROUNDING = 1e-5  # other kernels, same numbers
EIGHT_BITS = 0.15  # of the largest state: what 8-bit weights do to tiny random models


def model(pipe):
    return [accelerate.cpu_offload_with_hook(module, CPU)[1] for module in encoders(pipe)]


def group(kind):
    def apply(pipe):
        blocks = {"num_blocks_per_group": 1} if kind == "block_level" else {}
        for module in encoders(pipe):
            apply_group_offloading(module, CPU, CPU, offload_type=kind, **blocks)

    return apply


OFFLOADS = {
    "model": model,
    "sequential": sequential,
    "group, leaves": group("leaf_level"),
    "group, blocks": group("block_level"),
}


def traces(pipe):
    """Everything that an encoding could leave behind."""
    return [
        (
            name,
            part.training,
            sorted(vars(part)),
            len(part._forward_hooks) + len(part._forward_pre_hooks),
            [(n, t.device, t.dtype, t._version) for n, t in part.named_parameters(recurse=False)],
        )
        for module in encoders(pipe)
        for name, part in module.named_modules()
    ]


@pytest.mark.pitfall(16, 17, 36)
@pytest.mark.parametrize("family", BUILD)
@pytest.mark.parametrize("offload", OFFLOADS)
def test_offloaded_encoders_give_the_same_and_stay_as_they_were(family, offload):
    options = {} if family == "flux" else {"clip_skip": 1}
    plain = Conditioner.from_pipeline(BUILD[family](), **options)(PROMPT, negative_prompt=NEGATIVE)
    pipe = BUILD[family]()
    OFFLOADS[offload](pipe)
    conditioner = Conditioner.from_pipeline(pipe, **options)
    conditioner(PROMPT, negative_prompt=NEGATIVE)
    before = traces(pipe)
    ours = conditioner(PROMPT, negative_prompt=NEGATIVE)
    assert torch.equal(ours.prompt_embeds, plain.prompt_embeds)
    assert torch.equal(ours.negative_prompt_embeds, plain.negative_prompt_embeds)
    if plain.pooled_prompt_embeds is not None:
        assert torch.equal(ours.pooled_prompt_embeds, plain.pooled_prompt_embeds)
    assert traces(pipe) == before


@pytest.mark.parametrize("offload", OFFLOADS)
def test_inversions_reach_an_offloaded_encoder(offload):
    plain = Conditioner.from_pipeline(tiny.sd1()).with_inversions(moss())("a moss cat")
    pipe = tiny.sd1()
    OFFLOADS[offload](pipe)
    ours = Conditioner.from_pipeline(pipe).with_inversions(moss())("a moss cat")
    assert torch.equal(ours.prompt_embeds, plain.prompt_embeds)


@pytest.mark.pitfall(18)
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_compiled_encoders(family, in_place):
    pipe = BUILD[family]()
    plain = Conditioner.from_pipeline(pipe, clip_skip=1)(PROMPT, negative_prompt=NEGATIVE)
    inverted = Conditioner.from_pipeline(pipe).with_inversions(moss())("a moss cat")
    for slot in ("text_encoder", "text_encoder_2"):
        module = getattr(pipe, slot, None)
        if module is None:
            continue
        if in_place:
            module.compile(backend="aot_eager")
        else:
            setattr(pipe, slot, torch.compile(module, backend="aot_eager"))
    conditioner = Conditioner.from_pipeline(pipe, clip_skip=1)
    for _ in range(2):
        ours = conditioner(PROMPT, negative_prompt=NEGATIVE)
    assert torch.allclose(ours.prompt_embeds, plain.prompt_embeds, atol=ROUNDING)
    again = Conditioner.from_pipeline(pipe).with_inversions(moss())("a moss cat")
    assert torch.allclose(again.prompt_embeds, inverted.prompt_embeds, atol=ROUNDING)
    plain.kwargs_for(pipe)  # compiled or not, it is the same encoder


def near(ours, plain):
    worst = (ours - plain).abs().max()
    return worst > 0 and worst < EIGHT_BITS * plain.abs().max()


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3"])
def test_torchao_quantised_encoders(family):
    quantization = pytest.importorskip("torchao.quantization", reason="make test-all installs it")
    pipe = BUILD[family]()
    plain = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)
    for module in encoders(pipe):
        quantization.quantize_(module, quantization.Int8WeightOnlyConfig())
    before = traces(pipe)
    ours = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)
    assert near(ours.prompt_embeds, plain.prompt_embeds)
    assert traces(pipe) == before


@pytest.mark.pitfall(20)
def test_bitsandbytes_quantised_encoders():
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="make test-all installs it")

    def quantise(module):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                linear = bitsandbytes.nn.Linear8bitLt(
                    child.in_features,
                    child.out_features,
                    bias=child.bias is not None,
                    has_fp16_weights=False,
                )
                linear.weight = bitsandbytes.nn.Int8Params(
                    child.weight.data, requires_grad=False, has_fp16_weights=False
                )
                linear.bias = child.bias
                setattr(module, name, linear.to("cpu"))
            else:
                quantise(child)

    pipe = tiny.sdxl()
    plain = Conditioner.from_pipeline(pipe)(PROMPT)
    for module in encoders(pipe):
        quantise(module)
    ours = Conditioner.from_pipeline(pipe)(PROMPT)
    assert near(ours.prompt_embeds, plain.prompt_embeds)
    assert near(ours.pooled_prompt_embeds, plain.pooled_prompt_embeds)


@pytest.mark.pitfall(19)
@pytest.mark.parametrize("weighting", ["comfy", "attention_bias"])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_weights_stored_in_eight_bit_floats(family, weighting):
    pipe = BUILD[family]()
    conditioner = Conditioner.from_pipeline(pipe, weighting=weighting)
    plain = conditioner(PROMPT, negative_prompt=NEGATIVE)
    eight_bits(pipe)
    ours = conditioner(PROMPT, negative_prompt=NEGATIVE)
    assert ours.prompt_embeds.dtype == torch.float32
    assert near(ours.prompt_embeds, plain.prompt_embeds)
    assert ours.kwargs_for(pipe)["prompt_embeds"].dtype == torch.float32


def test_a_large_t5_is_fed_within_the_memory_limit():
    from transformers import T5Config

    from clipcond.encoders import batches
    from clipcond.weighting import Row

    xxl = T5Config(d_model=4096, d_ff=10240, num_layers=24, num_heads=64)
    rows = [Row((1,) * 512)] * 40
    limit = 1 << 30
    cut = list(batches(rows, xxl, limit))
    each = 512 * 10240 * 4 * 4
    assert sum(map(len, cut)) == 40
    assert all(len(part) * each <= limit for part in cut)
    assert len(cut) == -(-40 // (limit // each))
