"""On a device, in half precision: schedules, composition and guidance inside the denoiser; memory comes back."""

import gc

import pytest
import torch

pytest.importorskip("diffusers")

import clipcond
from clipcond import Conditioner
from tests.gpu.families import BUILD, SAME, assert_near, build

pytestmark = pytest.mark.gpu
OPTIONS = {"num_inference_steps": 4, "output_type": "latent", "height": 32, "width": 32}


def guided(family):
    return {"true_cfg_scale": 3.0} if family == "flux" else {"guidance_scale": 3.0}


def draw(pipe, family, conditioning, **more):
    with conditioning.attached(pipe):
        kwargs = {**conditioning.kwargs_for(pipe), **OPTIONS, **guided(family), **more}
        return pipe(**kwargs, generator=torch.Generator().manual_seed(0)).images


@pytest.mark.parametrize("family", BUILD)
def test_what_changes_nothing_changes_nothing(family, device, dtype):
    pipe = build(family, device, dtype)
    conditioner = Conditioner.from_pipeline(pipe)
    plain = draw(pipe, family, conditioner("a red cat", negative_prompt="bad"))
    constant = conditioner("a red [cat:dog:1.0]", negative_prompt="bad")
    assert torch.equal(draw(pipe, family, constant), plain)
    itself = conditioner("a red cat :0.5 AND a red cat :0.5", negative_prompt="bad")
    assert_near(draw(pipe, family, itself), plain, 16 * SAME[dtype])
    with clipcond.guidance(pipe, interval=(0, 1)):
        again = draw(pipe, family, conditioner("a red cat", negative_prompt="bad"))
    assert torch.equal(again, plain)


@pytest.mark.parametrize("family", BUILD)
def test_states_are_on_the_device_in_the_dtype(family, device, dtype):
    pipe = build(family, device, dtype)
    conditioner = Conditioner.from_pipeline(pipe)
    switched = conditioner("a [red cat:blue dog:0.5] AND a (ball:1.2) :0.7", negative_prompt="bad")
    picture = draw(pipe, family, switched)
    assert picture.device.type == device.type
    assert picture.isfinite().all()
    with clipcond.guidance(pipe, interval=(0.25, 0.75), scale=4.0):
        assert draw(pipe, family, conditioner("a cat", negative_prompt="bad")).isfinite().all()


def test_states_leave_the_device_with_their_conditioning(device, dtype):
    if device.type != "cuda":
        pytest.skip("only CUDA counts its memory")
    pipe = build("sd1", device, dtype)
    conditioner = Conditioner.from_pipeline(pipe)

    def used():
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated()

    draw(pipe, "sd1", conditioner("a [cat:dog:0.5]"))
    before = used()
    for _ in range(3):
        draw(pipe, "sd1", conditioner("a [cat|dog|ball]"))
    assert used() <= before
