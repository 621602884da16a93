"""However the encoders run on a device (offloaded, compiled): the same states, the same pictures, also the second time."""

import pytest
import torch

pytest.importorskip("diffusers")

from diffusers.hooks import apply_group_offloading

from clipcond import Conditioner
from tests.gpu.families import BUILD, SAME, assert_near, build, tensors_of

pytestmark = pytest.mark.gpu
PROMPT, NEGATIVE = "a (red:1.3) cat", "[a] dog"
OPTIONS = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32}


def encoders(pipe):
    return [m for slot, m in pipe.components.items() if slot.startswith("text_encoder") and m]


def modules(pipe):
    return [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]


def model(pipe, device):
    if device.type == "cpu":  # accelerate offloads to the CPU, never from it
        from accelerate import cpu_offload_with_hook

        for module in encoders(pipe):
            cpu_offload_with_hook(module, device)
    else:
        pipe.enable_model_cpu_offload(device=device)


def sequential(pipe, device):
    if device.type == "cpu":
        from accelerate import cpu_offload

        for module in modules(pipe):
            cpu_offload(module, device)
    else:
        pipe.enable_sequential_cpu_offload(device=device)


def group(kind, *, stream=False):
    def apply(pipe, device):
        blocks = {"num_blocks_per_group": 1} if kind == "block_level" else {}
        for module in encoders(pipe):
            apply_group_offloading(
                module,
                device,
                torch.device("cpu"),
                offload_type=kind,
                use_stream=stream and device.type != "cpu",
                **blocks,
            )
        for module in set(modules(pipe)) - set(encoders(pipe)):
            module.to(device)

    return apply


OFFLOADS = {
    "model": model,
    "sequential": sequential,
    "group, leaves": group("leaf_level"),
    "group, leaves, stream": group("leaf_level", stream=True),
    "group, blocks": group("block_level"),
}


def draw(pipe, conditioning):
    generator = torch.Generator().manual_seed(0)
    return pipe(**conditioning.kwargs_for(pipe), **OPTIONS, generator=generator).images


@pytest.mark.parametrize("family", BUILD)
@pytest.mark.parametrize("offload", OFFLOADS)
def test_offloaded(family, offload, device):
    pipe = build(family, device)
    plain = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)
    picture = draw(pipe, plain)
    pipe = BUILD[family]()
    OFFLOADS[offload](pipe, device)
    conditioner = Conditioner.from_pipeline(pipe)
    for _ in range(2):
        ours = conditioner(PROMPT, negative_prompt=NEGATIVE)
        for name, tensor in tensors_of(plain).items():
            assert_near(getattr(ours, name), tensor, SAME[torch.float32])
        assert_near(draw(pipe, ours), picture, 1e-3)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_compiled(family, in_place, device):
    backend = "aot_eager" if device.type == "cpu" else "inductor"
    pipe = build(family, device)
    plain = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)
    for slot in ("text_encoder", "text_encoder_2"):
        module = getattr(pipe, slot, None)
        if module is None:
            continue
        if in_place:
            module.compile(backend=backend)
        else:
            setattr(pipe, slot, torch.compile(module, backend=backend))
    conditioner = Conditioner.from_pipeline(pipe)
    for _ in range(2):
        ours = conditioner(PROMPT, negative_prompt=NEGATIVE)
        for name, tensor in tensors_of(plain).items():
            assert_near(getattr(ours, name), tensor, 1e-4)
    plain.kwargs_for(pipe)
