"""What goes wrong in the pipelines themselves, shown to go wrong, and not to with `kwargs_for`."""

import json
from functools import partial

import pytest
import torch
from diffusers import StableDiffusionXLAutoBlocks
from transformers import CLIPTokenizer

from clipcond import Conditioner
from clipcond.errors import CheckpointError, UnsupportedPipelineError
from tests import doubles as tiny

OPTIONS = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32}
LONG = "a red cat on the sky, " * 12


def draw(pipe, **kwargs):
    return pipe(**kwargs, **OPTIONS, generator=torch.Generator().manual_seed(0)).images


@pytest.mark.pitfall(4)
def test_a_tokenizer_of_two_tokens_is_refused(tmp_path):
    vocabulary, merges = tiny.clip_bpe()
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges)]))
    made_up = CLIPTokenizer(
        vocab_file=str(tmp_path / "vocab.json"), merges_file=str(tmp_path / "merges.txt")
    )
    assert len(made_up) == 2
    pipe = tiny.sd1()
    pipe.tokenizer = made_up
    with pytest.raises(CheckpointError, match=r"tokenizer knows 2 tokens.*pass vocab= and merges="):
        Conditioner.from_pipeline(pipe)


@pytest.mark.pitfall(4)
def test_a_folder_without_its_tokenizer_is_refused(tmp_path):
    tiny.sd1().save_pretrained(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer"):
        Conditioner.from_pretrained(tmp_path)


@pytest.mark.pitfall(8)
@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3"])
def test_a_long_prompt_without_a_negative_one(family):
    pipe = partial(tiny.sdxl, zeros=False)() if family == "sdxl" else tiny.BUILDERS[family]()
    kwargs = Conditioner.from_pipeline(pipe)(LONG).kwargs_for(pipe)
    positive = {name: t for name, t in kwargs.items() if not name.startswith("negative")}
    with pytest.raises((ValueError, RuntimeError)):
        draw(pipe, **positive)
    assert draw(pipe, **kwargs).isfinite().all()


@pytest.mark.pitfall(9)
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_several_pictures_where_the_pipeline_repeats_no_given_tensors(family):
    pipe = tiny.BUILDERS[family]()
    conditioner = Conditioner.from_pipeline(pipe)
    conditioning = conditioner(["a cat", "a red dog"], negative_prompt="bad")
    with pytest.raises((ValueError, RuntimeError)):
        draw(pipe, **conditioning.kwargs_for(pipe), num_images_per_prompt=2)
    noise = torch.Generator().manual_seed(0)
    ours = pipe(**conditioning.kwargs_for(pipe, 2), **OPTIONS, generator=[noise] * 4).images
    assert len(ours) == 4
    noise.manual_seed(0)
    for i, prompt in enumerate(["a cat", "a cat", "a red dog", "a red dog"]):
        alone = conditioner(prompt, negative_prompt="bad").kwargs_for(pipe)
        theirs = pipe(**alone, **OPTIONS, generator=noise).images[0]
        torch.testing.assert_close(ours[i], theirs, rtol=0, atol=1e-4)


@pytest.mark.pitfall(10)
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_tensors_come_in_the_dtype_of_the_denoiser(family):
    pipe = tiny.BUILDERS[family]()
    pipe.transformer.to(torch.bfloat16)
    conditioning = Conditioner.from_pipeline(pipe)("a cat")
    kwargs = conditioning.kwargs_for(pipe)
    assert {tensor.dtype for tensor in kwargs.values()} == {torch.bfloat16}
    assert conditioning.prompt_embeds.dtype == torch.float32
    assert draw(pipe, **kwargs).isfinite().all()
    with pytest.raises(RuntimeError, match=r"dtype|Input type"):
        draw(pipe, **{name: tensor.float() for name, tensor in kwargs.items()})


@pytest.mark.pitfall(24, 29, 35)
@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
def test_nothing_is_added_to_a_pipeline_or_its_arguments(family):
    """No component without a device, no component undeclared, no processor's arguments."""
    pipe = tiny.BUILDERS[family]()
    before, config = dict(pipe.components), dict(pipe.config)
    kwargs = Conditioner.from_pipeline(pipe)("a (red:1.3) cat", negative_prompt="b").kwargs_for(
        pipe
    )
    assert all(isinstance(value, torch.Tensor) for value in kwargs.values())
    assert pipe.components == before
    assert dict(pipe.config) == config
    assert pipe._execution_device == torch.device("cpu")


@pytest.mark.pitfall(28)
def test_modular_pipelines_are_refused_by_name():
    pipe = StableDiffusionXLAutoBlocks().init_pipeline()
    with pytest.raises(UnsupportedPipelineError, match="StableDiffusionXLModularPipeline"):
        Conditioner.from_pipeline(pipe)
