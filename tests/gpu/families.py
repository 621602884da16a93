"""Tiny pipelines on a device, what they encode by themselves, and how near is near."""

import inspect

import torch

from clipcond.conditioning.value import TENSORS
from tests import doubles as tiny

BUILD = {"sd1": tiny.sd1, "sdxl": tiny.sdxl, "sd3": tiny.sd3, "flux": tiny.flux}
# of the largest value: four units in the last place for other kernels in the same precision, and what a whole tower
# in that precision strays from float32
SAME = {torch.float32: 1e-5, torch.float16: 2**-8, torch.bfloat16: 2**-5}
FROM_FLOAT32 = {torch.float16: 0.02, torch.bfloat16: 0.12}


def build(family, device, dtype=torch.float32):
    return BUILD[family]().to(device, dtype)


def stock(pipe, prompt, negative):
    """The pipeline's own `encode_prompt`, as {our name: tensor}."""
    takes = inspect.signature(pipe.encode_prompt).parameters
    wanted = {"prompt": prompt, "prompt_2": None, "prompt_3": None, "negative_prompt": negative}
    wanted |= {
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": True,
        "device": pipe._execution_device,
    }
    with torch.no_grad():
        out = pipe.encode_prompt(**{k: v for k, v in wanted.items() if k in takes})
    names = (
        ("prompt_embeds", "pooled_prompt_embeds")
        if type(pipe).__name__ == "FluxPipeline"
        else TENSORS
    )
    return {
        name: t
        for name, t in zip(names, out, strict=False)
        if isinstance(t, torch.Tensor) and t.ndim in (2, 3)
    }


def assert_near(ours, theirs, tolerance):
    """Within `tolerance` of the largest value, and finite."""
    assert ours.isfinite().all()
    ours, theirs = ours.float().cpu(), theirs.float().cpu()
    assert ours.shape == theirs.shape
    worst, largest = (ours - theirs).abs().max().item(), theirs.abs().max().item()
    assert worst <= tolerance * largest, f"{worst / largest:.2g} of the largest value"


def tensors_of(conditioning):
    """{name: tensor} of those that it has."""
    found = {name: getattr(conditioning, name) for name in TENSORS}
    return {name: tensor for name, tensor in found.items() if tensor is not None}
