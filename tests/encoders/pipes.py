"""Pipelines to encode with, and what people do to their encoders."""

import accelerate
import torch
from diffusers.hooks import apply_layerwise_casting
from peft import LoraConfig

from clipcond import TextualInversion
from tests import doubles as tiny

BUILD = {"sd1": tiny.sd1, "sdxl": tiny.sdxl, "sd3": tiny.sd3, "flux": tiny.flux}
CPU = torch.device("cpu")


def encoders(pipe):
    return [m for slot, m in pipe.components.items() if slot.startswith("text_encoder") and m]


def moss(fill=1.0):
    return TextualInversion("moss", {"": torch.full((2, 32), fill)})


def with_lora(pipe, *, slot="text_encoder", seed=3, targets=("q_proj", "v_proj"), name="default"):
    torch.manual_seed(seed)
    config = LoraConfig(r=2, lora_alpha=3, target_modules=[*targets], init_lora_weights=False)
    getattr(pipe, slot).add_adapter(config, adapter_name=name)
    return pipe


def sequential(pipe):
    for module in encoders(pipe):
        accelerate.cpu_offload(module, CPU)


def eight_bits(pipe):
    for module in encoders(pipe):
        apply_layerwise_casting(module, torch.float8_e4m3fn, torch.float32)
