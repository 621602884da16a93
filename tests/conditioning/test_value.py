"""Conditioning as a value: its arguments for a pipeline, the number of pictures, its text."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline

from clipcond import Conditioner
from clipcond.errors import ClipcondError, UnsupportedPipelineError
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


def test_exactly_the_arguments_the_pipeline_wants():
    assert set(CONDITIONER("a").kwargs_for(PIPE)) == {"prompt_embeds", "negative_prompt_embeds"}
    assert set(CONDITIONER("a").kwargs_for(PIPE, 2)) == {
        "prompt_embeds",
        "negative_prompt_embeds",
        "num_images_per_prompt",
    }


def test_denoisers_dtype():
    pipe = tiny_pipeline()
    pipe.unet.to(torch.bfloat16)
    kwargs = Conditioner.from_pipeline(pipe)("a").kwargs_for(pipe)
    assert {tensor.dtype for tensor in kwargs.values()} == {torch.bfloat16}


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
    assert "1 forward of" in text
    assert "red(1.3)" in text
    assert "tensor(" not in text
    assert len(text) < 2500
