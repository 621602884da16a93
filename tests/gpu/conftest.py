"""The device of the tests here: cuda, or what CLIPCOND_TEST_DEVICE names (`cpu` runs the same bodies anywhere).

They need torch, transformers, accelerate, diffusers and pytest, in whatever versions the machine has; without diffusers
only those of scores run.
"""

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device():
    name = os.environ.get("CLIPCOND_TEST_DEVICE", "cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device here; CLIPCOND_TEST_DEVICE=cpu runs this on the CPU")
    return torch.device(name)


@pytest.fixture(params=[torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def dtype(request):
    return request.param
