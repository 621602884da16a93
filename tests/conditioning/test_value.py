"""Conditioning as a value: its arguments for a pipeline, the number of pictures, its text."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from safetensors.torch import save_file

import clipcond
from clipcond import Conditioner, Conditioning
from clipcond.conditioning.value import TENSORS
from clipcond.errors import CheckpointError, ClipcondError, UnsupportedPipelineError
from tests import doubles as tiny_families
from tests.tiny import tiny_pipeline

PIPE = tiny_pipeline()
CONDITIONER = Conditioner.from_pipeline(PIPE)


def pictures(conditioning, count=1, pipe=PIPE, **options):
    options = {"num_inference_steps": 2, "output_type": "np", **options}
    return pipe(**conditioning.kwargs_for(pipe, num_images_per_prompt=count), **options).images


def test_same_picture_as_the_pipeline_draws_from_the_text():
    ours = pictures(
        CONDITIONER("a red cat", negative_prompt="bad"), generator=torch.Generator().manual_seed(3)
    )
    theirs = PIPE(
        "a red cat",
        negative_prompt="bad",
        num_inference_steps=2,
        output_type="np",
        generator=torch.Generator().manual_seed(3),
    ).images
    assert np.array_equal(ours, theirs)


@pytest.mark.pitfall(9)
@pytest.mark.parametrize("prompts", [["a cat"], ["a cat", "a (red:1.3) dog"]])
@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_pictures(prompts, count):
    conditioning = CONDITIONER(prompts, negative_prompt="bad")
    seeds = range(len(prompts) * count)
    drawn = pictures(
        conditioning, count, generator=[torch.Generator().manual_seed(s) for s in seeds]
    )
    assert drawn.shape == (len(prompts) * count, 32, 32, 3)
    for seed in seeds:  # pictures of one prompt lie next to each other, each as it would be alone
        alone = CONDITIONER(prompts[seed // count], negative_prompt="bad")
        one = pictures(alone, generator=torch.Generator().manual_seed(seed))
        np.testing.assert_allclose(drawn[seed], one[0], atol=1e-4)


def test_asking_twice_for_several_pictures_is_an_error_not_more_pictures():
    with pytest.raises(TypeError, match="multiple values"):
        PIPE(**CONDITIONER("a").kwargs_for(PIPE, num_images_per_prompt=2), num_images_per_prompt=2)
    assert len(pictures(CONDITIONER("a"), num_images_per_prompt=2)) == 2
    with pytest.raises(ClipcondError, match="got 0"):
        CONDITIONER("a").kwargs_for(PIPE, num_images_per_prompt=0)


@pytest.mark.pitfall(24)
def test_exactly_the_arguments_the_pipeline_wants():
    assert set(CONDITIONER("a").kwargs_for(PIPE)) == {"prompt_embeds", "negative_prompt_embeds"}
    assert set(CONDITIONER("a").kwargs_for(PIPE, 2)) == {
        "prompt_embeds",
        "negative_prompt_embeds",
        "num_images_per_prompt",
    }


@pytest.mark.pitfall(10)
def test_denoisers_dtype():
    pipe = tiny_pipeline()
    pipe.unet.to(torch.bfloat16)
    kwargs = Conditioner.from_pipeline(pipe)("a").kwargs_for(pipe)
    assert {tensor.dtype for tensor in kwargs.values()} == {torch.bfloat16}


@pytest.mark.pitfall(8)
def test_long_prompts_draw():
    long = CONDITIONER("a red cat, " * 40, negative_prompt="bad")
    assert pictures(long).shape == (1, 32, 32, 3)


def test_weights_change_the_picture():
    weak, strong = (
        pictures(CONDITIONER(f"a (red:{w}) cat"), generator=torch.Generator().manual_seed(0))
        for w in (0.4, 1.6)
    )
    assert not np.array_equal(weak, strong)


@pytest.mark.parametrize("other", [StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline])
def test_other_pipelines_of_the_family(other):
    pipe = other(**PIPE.components, requires_safety_checker=False)
    kwargs = Conditioner.from_pipeline(pipe)("a (red:1.3) cat").kwargs_for(pipe)
    assert kwargs["prompt_embeds"].shape == (1, 77, 32)


def test_an_encoder_of_another_width_is_refused():
    other = tiny_pipeline(width=16)
    with pytest.raises(UnsupportedPipelineError, match=r"32 wide .* reads 16 wide"):
        CONDITIONER("a").kwargs_for(other)


def test_parts_of_no_use_here_are_none():
    ours = CONDITIONER("a")
    assert (
        ours.pooled_prompt_embeds
        is ours.negative_pooled_prompt_embeds
        is ours.prompt_attention_mask
        is None
    )


def test_repr_is_short_and_says_what_it_is():
    text = repr(CONDITIONER("a (red:1.3) cat, " * 200, negative_prompt="bad"))
    assert "Stable Diffusion 1 and 2: 1 x " in text
    assert "text_encoder 1 x 5" in text
    assert "red(1.3)" in text
    assert "tensor(" not in text
    assert len(text) < 2500


def test_saved_and_loaded_it_is_the_same(tmp_path):
    ours = CONDITIONER(["a (red:1.3) cat", "sky"], negative_prompt="(bad")
    ours.save(tmp_path / "prompts.safetensors")
    back = Conditioning.load(tmp_path / "prompts.safetensors")
    assert repr(back) == repr(ours)
    assert (back.report, back.stats, back.fingerprints) == (
        ours.report,
        ours.stats,
        ours.fingerprints,
    )
    assert torch.equal(back.prompt_embeds, ours.prompt_embeds)
    assert np.array_equal(
        pictures(back, generator=torch.Generator().manual_seed(0)),
        pictures(ours, generator=torch.Generator().manual_seed(0)),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.safetensors"]


def test_the_format_of_files_stays(tmp_path):
    about = {
        "version": 1,
        "family": "Stable Diffusion 1 and 2",
        "negative_given": True,
        "stats": {"text_encoder": [1, 2, 0]},
        "report": {"text_encoder": {"prompts": [], "negative_prompts": []}},
        "fingerprints": {"text_encoder": None},
    }
    tensors = {
        "prompt_embeds": torch.zeros(1, 7, 32),
        "negative_prompt_embeds": torch.ones(1, 7, 32),
    }
    path = tmp_path / "old.safetensors"
    save_file(tensors, path, {"clipcond_conditioning": json.dumps(about)})
    old = Conditioning.load(path)
    assert {
        name: getattr(old, name) for name in TENSORS if getattr(old, name) is not None
    }.keys() == tensors.keys()
    assert torch.equal(old.negative_prompt_embeds, tensors["negative_prompt_embeds"])
    assert old.stats.rows == 2
    old.save(tmp_path / "new.safetensors")
    assert (tmp_path / "new.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("builder", ["sdxl", "sd3", "flux"])
def test_every_tensor_of_every_family_is_saved(builder, tmp_path):
    pipe = tiny_families.BUILDERS[builder]()
    ours = Conditioner.from_pipeline(pipe)("a (red:1.3) cat", negative_prompt="bad")
    ours.save(tmp_path / "one.safetensors")
    theirs, kwargs = (
        Conditioning.load(tmp_path / "one.safetensors").kwargs_for(pipe),
        ours.kwargs_for(pipe),
    )
    assert theirs.keys() == kwargs.keys()
    assert all(torch.equal(theirs[name], kwargs[name]) for name in kwargs)


def test_a_pipeline_with_another_encoder_is_refused(tmp_path):
    CONDITIONER("a cat").save(tmp_path / "one.safetensors")
    loaded = Conditioning.load(tmp_path / "one.safetensors")
    other = tiny_pipeline(seed=1)
    with pytest.raises(UnsupportedPipelineError, match="made by another text_encoder than"):
        loaded.kwargs_for(other)
    half = tiny_pipeline().to(torch.bfloat16)
    assert loaded.kwargs_for(half)["prompt_embeds"].dtype == torch.bfloat16  # the same, rounded
    changed = tiny_pipeline()
    assert loaded.kwargs_for(changed)
    with torch.no_grad():  # as fusing a LoRA does
        for layer in changed.text_encoder.encoder.layers:
            layer.mlp.fc1.weight.mul_(1.01)
    with pytest.raises(UnsupportedPipelineError, match="weights differ"):
        loaded.kwargs_for(changed)


def test_files_of_another_kind_are_refused_by_name(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match=r"x\.safetensors cannot be read"):
        Conditioning.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be read as a saved conditioning"):
        Conditioning.load(path)
    save_file({"prompt_embeds": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="no saved conditioning of this version"):
        Conditioning.load(path)
    with pytest.raises(ClipcondError, match="cannot be written"):
        CONDITIONER("a").save(tmp_path / "no" / "folder" / "x.safetensors")


A, B = CONDITIONER("a red cat", negative_prompt="bad"), CONDITIONER("dog", negative_prompt="sky")


@pytest.mark.parametrize("between", [clipcond.lerp, clipcond.slerp])
def test_between_two_conditionings(between):
    for t, end in ((0.0, A), (1.0, B)):
        there = between(A, B, t)
        torch.testing.assert_close(there.prompt_embeds, end.prompt_embeds, rtol=0, atol=1e-6)
        torch.testing.assert_close(
            there.negative_prompt_embeds, end.negative_prompt_embeds, rtol=0, atol=1e-6
        )
    half = between(A, B, 0.5)
    assert pictures(half).shape == (1, 32, 32, 3)
    assert half.stats.calls == 2
    assert [r.text for r in half.report.prompts] == ["a red cat", "dog"]
    assert (
        torch.equal(between(A, A, 0.3).prompt_embeds, A.prompt_embeds) or between is clipcond.slerp
    )


def test_lerp_is_a_weighted_mean_and_extrapolates():
    for t in (0.25, 1.5):
        expected = A.prompt_embeds + t * (B.prompt_embeds - A.prompt_embeds)
        torch.testing.assert_close(
            clipcond.lerp(A, B, t).prompt_embeds, expected, rtol=0, atol=1e-5
        )


def test_slerp_turns_each_token_evenly():
    """Half way, a token's angle to both ends is the same; the norm of unit vectors stays one."""
    x, y = (t / t.norm(dim=-1, keepdim=True) for t in (A.prompt_embeds[0], B.prompt_embeds[0]))
    unit_a, unit_b = (
        replace(c, positive=replace(c.positive, embeds=e[None])) for c, e in ((A, x), (B, y))
    )
    half = clipcond.slerp(unit_a, unit_b, 0.5).prompt_embeds[0]
    torch.testing.assert_close(half.norm(dim=-1), torch.ones(77), rtol=0, atol=1e-5)
    torch.testing.assert_close((half * x).sum(-1), (half * y).sum(-1), rtol=0, atol=1e-5)


def test_concat_puts_tokens_after_each_other():
    both = clipcond.concat(A, B)
    assert torch.equal(both.prompt_embeds, torch.cat([A.prompt_embeds, B.prompt_embeds], 1))
    assert both.negative_prompt_embeds.shape == (1, 154, 32)
    assert pictures(both).shape == (1, 32, 32, 3)


def test_what_does_not_fit_together_is_an_error():
    two_windows = CONDITIONER("a BREAK b", negative_prompt="bad")
    with pytest.raises(ClipcondError, match="condition both prompts in one call"):
        clipcond.lerp(A, two_windows, 0.5)
    assert clipcond.concat(A, two_windows).prompt_embeds.shape == (1, 231, 32)
    other = Conditioner.from_pipeline(tiny_families.sdxl())("a")
    with pytest.raises(ClipcondError, match="for Stable Diffusion 1 and 2 and b for Stable"):
        clipcond.concat(A, other)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("first", lambda a, b: a),
        ("last", lambda a, b: b),
        ("mean", lambda a, b: (a + b) / 2),
        ("weighted", lambda a, b: a),
    ],
)
@pytest.mark.parametrize("builder", ["sdxl", "flux"])
def test_pooled_policies(builder, policy, expected):
    pipe = tiny_families.BUILDERS[builder]()
    plain = Conditioner.from_pipeline(pipe)
    a, b = (plain(text).pooled_prompt_embeds for text in ("a red cat", "dog"))
    ours = Conditioner.from_pipeline(pipe, pooled=policy)("a red cat BREAK dog")
    torch.testing.assert_close(ours.pooled_prompt_embeds, expected(a, b), rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["compel", "down_weight", "attention_bias"])
def test_the_weighted_pooled_vector_follows_modes_that_mask(mode):
    pipe = tiny_families.sdxl()
    plain = Conditioner.from_pipeline(pipe)("a red cat").pooled_prompt_embeds
    ours = Conditioner.from_pipeline(pipe, weighting=mode, pooled="weighted")
    assert torch.equal(ours("a (red:1.0) cat").pooled_prompt_embeds, plain)
    assert not torch.allclose(ours("a (red:0.5) cat").pooled_prompt_embeds, plain, atol=1e-4)
    near = ours("a (red:0.9999) cat").pooled_prompt_embeds
    torch.testing.assert_close(near, plain, rtol=0, atol=1e-2)


def test_a_notebook_shows_coloured_tokens_and_escapes_what_was_typed():
    html = CONDITIONER("a (red:1.3) [cat] <b> (dog", negative_prompt="bad")._repr_html_()
    assert "hsla(0," in html
    assert "hsla(220," in html
    assert "&lt;b&gt;" in html or "&lt;" in html
    assert "<b>" not in html.replace("<b>prompt 0</b>", "").replace("<b>negative 0</b>", "")
    assert "never closed" in html


def test_a_memory_limit_cuts_the_rows_into_several_forwards():
    prompts = ["a (red:1.3) cat", "dog", "sky", "a (blue:0.5) ball"]
    whole = CONDITIONER(prompts, negative_prompt="bad")
    parts = Conditioner.from_pipeline(PIPE, memory_limit=1)(prompts, negative_prompt="bad")
    assert parts.stats.calls == parts.stats.rows == whole.stats.rows
    torch.testing.assert_close(parts.prompt_embeds, whole.prompt_embeds, rtol=0, atol=1e-5)
