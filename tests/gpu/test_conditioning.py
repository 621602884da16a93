"""On a device, in half precision: the pipeline's own encoding, weights, pictures, files."""

import pytest
import torch

pytest.importorskip("diffusers")

from clipcond import Conditioner, Conditioning
from clipcond.weighting import MODES
from tests.gpu.families import BUILD, FROM_FLOAT32, SAME, assert_near, build, stock, tensors_of

pytestmark = pytest.mark.gpu
PROMPTS, NEGATIVES = ["a red cat", "a dog on the sky"], ["bad", "bad quality"]
WEIGHTED = "a (red:1.3) heart to the left of a (fox:0.6), (cat)"


@pytest.mark.parametrize("family", BUILD)
def test_identity(family, device, dtype):
    pipe = build(family, device, dtype)
    ours = tensors_of(Conditioner.from_pipeline(pipe)(PROMPTS, negative_prompt=NEGATIVES))
    for name, tensor in stock(pipe, PROMPTS, NEGATIVES).items():
        assert ours[name].dtype == tensor.dtype == dtype
        assert ours[name].device.type == device.type
        assert_near(ours[name], tensor, SAME[dtype])


@pytest.mark.parametrize("family", BUILD)
def test_the_picture_is_the_pipelines_own(family, device, dtype):
    pipe = build(family, device, dtype)
    options = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32}
    conditioning = Conditioner.from_pipeline(pipe)(PROMPTS[0])
    drawn = [
        pipe(**kwargs, **options, generator=torch.Generator().manual_seed(0)).images
        for kwargs in (conditioning.kwargs_for(pipe), {"prompt": PROMPTS[0]})
    ]
    assert_near(*drawn, 8 * SAME[dtype])


@pytest.fixture(scope="module")
def emoji():
    """The shipped model's text encoder: trained, so that no mode meets a mean of zero."""
    return {mode: Conditioner.from_pretrained("emoji", weighting=mode) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
def test_every_weighting_mode_is_near_float32_on_the_cpu(mode, emoji, device, dtype):
    conditioner = emoji[mode]
    plain = tensors_of(conditioner(WEIGHTED, negative_prompt="(blue:1.2) sky"))
    module = conditioner.paths[0].encoder.module
    module.to(device, dtype)
    try:
        ours = tensors_of(conditioner(WEIGHTED, negative_prompt="(blue:1.2) sky"))
    finally:
        module.to("cpu", torch.float32)
    for name, tensor in plain.items():
        assert ours[name].dtype == dtype
        assert_near(ours[name], tensor, FROM_FLOAT32[dtype])


@pytest.mark.parametrize("mode", ["comfy", "compel", "comfy++", "attention_bias"])
@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_weights_in_other_families(family, mode, device, dtype):
    plain = Conditioner.from_pipeline(BUILD[family](), weighting=mode)(WEIGHTED)
    pipe = build(family, device, dtype)
    ours = tensors_of(Conditioner.from_pipeline(pipe, weighting=mode)(WEIGHTED))
    for name, tensor in tensors_of(plain).items():
        assert_near(ours[name], tensor, FROM_FLOAT32[dtype])


@pytest.mark.parametrize("mode", MODES)
def test_large_weights_and_long_prompts_are_finite(mode, emoji, device, dtype):
    conditioner = emoji[mode]
    module = conditioner.paths[0].encoder.module
    module.to(device, dtype)
    try:
        for prompt in ("a (red:20) (cat:0) heart", "a (red:1.4) cat, " * 60):
            assert conditioner(prompt).prompt_embeds.isfinite().all()
    finally:
        module.to("cpu", torch.float32)


def test_what_was_made_on_the_cpu_drives_a_pipeline_on_the_device(tmp_path, device, dtype):
    """Through a file, with the fingerprint taken on either side."""
    Conditioner.from_pipeline(BUILD["sdxl"]())(WEIGHTED).save(tmp_path / "one.safetensors")
    pipe = build("sdxl", device, dtype)
    kwargs = Conditioning.load(tmp_path / "one.safetensors").kwargs_for(pipe)
    assert {t.dtype for t in kwargs.values()} == {dtype}
    assert {t.device.type for t in kwargs.values()} == {device.type}
    Conditioner.from_pipeline(pipe)(WEIGHTED).save(tmp_path / "two.safetensors")
    assert Conditioning.load(tmp_path / "two.safetensors").kwargs_for(BUILD["sdxl"]())
