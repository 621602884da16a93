"""Text encoders of another dtype than the denoiser's, as diffusers loads them where no dtype is asked for."""

import copy
import pickle

import pytest
import torch

from clipcond import Conditioner
from clipcond.families.handover import HeldTensor
from tests import doubles as tiny

OPTIONS = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32}
PROMPT, NEGATIVE = "a (red:1.3) cat", "bad"


def encoders(pipe):
    return [part for name, part in pipe.components.items() if name.startswith("text_encoder")]


def draw(pipe, **prompts):
    return pipe(**prompts, **OPTIONS, generator=torch.Generator().manual_seed(0)).images


@pytest.mark.pitfall(40)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
def test_a_folder_whose_encoders_name_a_dtype(family, dtype, tmp_path):
    pipe = tiny.BUILDERS[family]()
    for module in encoders(pipe):
        module.to(dtype)
    pipe.save_pretrained(tmp_path)
    loaded = type(pipe).from_pretrained(
        tmp_path, **dict(safety_checker=None) if family == "sd1" else {}
    )
    loaded.set_progress_bar_config(disable=True)
    denoiser = getattr(loaded, Conditioner.from_pipeline(loaded).family.denoiser)
    assert {module.dtype for module in encoders(loaded)} == {dtype}
    assert denoiser.dtype == torch.float32
    with pytest.raises(RuntimeError, match=r"dtype|type"):
        draw(loaded, prompt="a red cat")

    own = Conditioner.from_pipeline(loaded)(PROMPT, negative_prompt=NEGATIVE)
    wide = Conditioner.from_pretrained(tmp_path)(PROMPT, negative_prompt=NEGATIVE)
    assert (own.prompt_embeds.dtype, wide.prompt_embeds.dtype) == (dtype, torch.float32)
    alike = tiny.BUILDERS[family]()
    for module in encoders(alike):
        module.to(dtype).float()  # all in float32, with the same values
    for conditioning in (own, wide):
        ours = draw(loaded, **conditioning.kwargs_for(loaded))
        theirs = draw(alike, **conditioning.kwargs_for(alike))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.pitfall(40)
@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_encoders_of_several_dtypes(family):
    pipe = tiny.BUILDERS[family]()
    for module, dtype in zip(
        encoders(pipe), (torch.float16, torch.bfloat16, torch.float32), strict=False
    ):
        module.to(dtype)
    conditioning = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)
    assert draw(pipe, **conditioning.kwargs_for(pipe)).isfinite().all()
    with torch.no_grad():
        theirs = pipe.encode_prompt("a red cat", "a red cat", *[None] * (family == "sd3"))
    ours = Conditioner.from_pipeline(pipe)("a red cat")
    wide = torch.promote_types(theirs[0].dtype, ours.prompt_embeds.dtype)
    torch.testing.assert_close(ours.prompt_embeds.to(wide), theirs[0].to(wide), rtol=0, atol=0.02)


@pytest.mark.pitfall(40)
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_denoiser_of_less_precision_than_its_encoders(family):
    pipe = tiny.BUILDERS[family]()
    for part in (pipe.unet, pipe.vae):
        part.to(torch.bfloat16)
    conditioning = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)
    kwargs = conditioning.kwargs_for(pipe, num_images_per_prompt=2)
    assert len(draw(pipe, **kwargs)) == 2


@pytest.mark.pitfall(19)
def test_encoders_stored_in_eight_bit_floats_draw():
    from diffusers.hooks import apply_layerwise_casting

    pipe = tiny.sd1()
    apply_layerwise_casting(pipe.text_encoder, torch.float8_e4m3fn, torch.float32)
    kwargs = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE).kwargs_for(pipe)
    assert draw(pipe, **kwargs).isfinite().all()


def test_where_the_dtypes_agree_tensors_are_plain():
    pipe = tiny.sdxl()
    kwargs = Conditioner.from_pipeline(pipe)(PROMPT).kwargs_for(pipe)
    assert {type(tensor) for tensor in kwargs.values()} == {torch.Tensor}


def test_a_held_tensor_moves_and_is_not_cast():
    tensor = torch.rand(2, 3)
    held = tensor.as_subclass(HeldTensor)
    for moved in (
        held.to(torch.float16),
        held.to(dtype=torch.float16, device="cpu"),
        held.to("cpu"),
        held.to(torch.zeros(1).half()),
    ):
        assert torch.equal(moved, tensor)
        assert type(moved) is HeldTensor
    assert held.to(device="meta", dtype=torch.float16).is_meta
    assert {type(t) for t in (held * 1, held.repeat(2, 1), torch.cat([held, held]), held[:1])} == {
        torch.Tensor
    }
    for kept in (copy.deepcopy(held), pickle.loads(pickle.dumps(held))):
        assert torch.equal(kept.to(torch.float16), tensor)
