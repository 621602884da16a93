"""Law 1 for every family: nothing asked for, nothing changed, bit for bit; each encoder forwards once."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcond import Conditioner
from clipcond.conditioning.value import TENSORS
from tests import doubles as tiny_families

PIPES = {name: build() for name, build in tiny_families.BUILDERS.items()}
CONDITIONERS = {name: Conditioner.from_pipeline(pipe) for name, pipe in PIPES.items()}
FAMILIES = list(PIPES)
WORD = st.sampled_from(["a", "red", "cat", "sky,", "12", "it's", "é", "日本", "!", "-", "BREAKS"])
TEXT = st.lists(WORD, max_size=7).map(" ".join)


def stock(name, prompt, negative=None, **others):
    """The pipeline's own `encode_prompt`, as {our name: tensor}."""
    pipe = PIPES[name]
    takes = inspect.signature(pipe.encode_prompt).parameters
    wanted = {"prompt": prompt, "device": "cpu", "num_images_per_prompt": 1, **others}
    wanted |= dict.fromkeys(("prompt_2", "prompt_3"))
    wanted |= {"negative_prompt": negative, "do_classifier_free_guidance": name != "lcm"}
    wanted |= others
    with torch.no_grad():  # as in a pipeline's call; T5's last bits depend on it
        out = pipe.encode_prompt(**{k: v for k, v in wanted.items() if k in takes})
    if name == "flux":
        names = ("prompt_embeds", "pooled_prompt_embeds")
        return dict(zip(names, out[:2], strict=True))
    return dict(zip(TENSORS, out, strict=False))


def assert_equal(ours, theirs, negative=True):
    for name, tensor in theirs.items():
        if negative or not name.startswith("negative"):
            assert torch.equal(getattr(ours, name), tensor), name


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=12)
@given(prompt=TEXT, negative=st.none() | TEXT)
def test_without_syntax_it_is_the_pipelines_own_encoding_bit_for_bit(name, prompt, negative):
    ours = CONDITIONERS[name](prompt, negative_prompt=negative)
    assert_equal(ours, stock(name, prompt, negative), negative=name != "lcm")
    if name == "flux" and negative is not None:
        theirs = stock(name, negative)
        assert torch.equal(ours.negative_prompt_embeds, theirs["prompt_embeds"])
        assert torch.equal(ours.negative_pooled_prompt_embeds, theirs["pooled_prompt_embeds"])


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_of_one_and_lists(name):
    prompts, negatives = ["a red cat", "a dog on the sky", "black ball"], ["bad", "", "quality"]
    ours = CONDITIONERS[name]([f"({p}:1.0)" for p in prompts], negative_prompt=negatives)
    assert_equal(ours, stock(name, prompts, negatives), negative=name != "lcm")


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux"])
def test_each_encoder_has_its_own_prompt(name):
    others = {"prompt_2": "a dog"} | ({"prompt_3": "the sky"} if name == "sd3" else {})
    ours = CONDITIONERS[name]("a cat", negative_prompt="bad", **others)
    assert_equal(ours, stock(name, "a cat", "bad", **others))


@pytest.mark.parametrize("zeros", [True, False])
def test_no_negative_prompt_is_zeros_where_the_pipeline_takes_zeros(zeros):
    pipe = tiny_families.sdxl(zeros=zeros)
    ours = Conditioner.from_pipeline(pipe)("a cat")
    with torch.no_grad():
        theirs = pipe.encode_prompt("a cat", device="cpu")
    for mine, other in zip((getattr(ours, name) for name in TENSORS), theirs, strict=False):
        assert torch.equal(mine, other)
    assert bool(ours.negative_prompt_embeds.abs().sum() == 0) is zeros
    rows = {slot: s.rows for slot, s in ours.stats.encoders.items()}
    assert rows == dict.fromkeys(("text_encoder", "text_encoder_2"), 1 if zeros else 2)


def test_flux_reads_no_negative_prompt_unless_given_one():
    assert CONDITIONERS["flux"]("a cat").negative_prompt_embeds is None
    assert CONDITIONERS["flux"]("a cat").report.negative_prompts == ()


@pytest.mark.parametrize("length", [24, 100])
@pytest.mark.parametrize("name", ["sd3", "sd3_without_t5", "flux"])
def test_max_sequence_length(name, length):
    ours = CONDITIONERS[name]("a red cat", max_sequence_length=length)
    assert_equal(ours, stock(name, "a red cat", max_sequence_length=length))


@pytest.mark.pitfall(6, 7)
def test_the_pooled_vector_is_taken_at_the_true_end_whatever_the_configuration_says():
    """`eos_token_id` 2 makes transformers pool at the highest id; no EOS in the configuration, at BOS."""
    plain = CONDITIONERS["sdxl"]("a red cat").pooled_prompt_embeds
    for eos in (2, 5):
        pipe = tiny_families.sdxl(eos_token_id=eos)
        ours = Conditioner.from_pipeline(pipe)("a red cat")
        torch.testing.assert_close(ours.pooled_prompt_embeds, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_one_forward_of_each_encoder_whatever_is_asked(name):
    prompts = ["a (red:1.3) cat and (blue:0.7) dog " * 12, "sky", "a (red:1.3) cat"]
    conditioner = Conditioner.from_pipeline(PIPES[name], weighting="compel")
    counts = {}
    hooks = [
        path.encoder.module.register_forward_hook(
            lambda *_, slot=path.role.slot: counts.update({slot: counts.get(slot, 0) + 1})
        )
        for path in conditioner.paths
    ]
    try:
        stats = conditioner(prompts, negative_prompt="(bad:1.2)" if name != "lcm" else None).stats
    finally:
        for hook in hooks:
            hook.remove()
    assert set(counts.values()) == {1}
    assert {slot: s.calls for slot, s in stats.encoders.items()} == counts


@pytest.mark.parametrize("name", FAMILIES)
def test_batch_mates_only_append_what_the_empty_prompt_gives(name):
    """The same states alone and beside a prompt of four windows (T5: of more tokens than its row)."""
    conditioner = CONDITIONERS[name]
    long = "a (red:1.3) cat, " * 80
    rows = {"max_sequence_length": 40} if conditioner.family.t5_length else {}
    together = conditioner(["a (blue:0.6) dog", long], **rows)
    alone = conditioner("a (blue:0.6) dog", **rows)
    own = alone.prompt_embeds.shape[1]
    mine = together.prompt_embeds[0]
    if name.startswith("sd3"):  # CLIP's windows first, then T5's
        windows = (len(mine) - (400 if name == "sd3" else 40)) // 77 * 77
        pieces = [(mine[:77], slice(0, 77))]
        if name == "sd3_without_t5":
            assert len(mine) == windows + 40
    else:
        pieces = [(mine[:own], slice(0, own))]
    for piece, place in pieces:
        torch.testing.assert_close(piece, alone.prompt_embeds[0, place], rtol=0, atol=1e-5)
    if alone.pooled_prompt_embeds is not None:
        torch.testing.assert_close(
            together.pooled_prompt_embeds[0], alone.pooled_prompt_embeds[0], rtol=0, atol=1e-5
        )
