"""The tiny CLIP of tests/tiny.py, written as OpenCLIP writes its models."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from clipcond.clip import openclip_from_hf
from tests.tiny import clip_tokenizer, tiny_clip


def openclip_config(**changes):
    """open_clip_config.json of `tiny_clip`; `changes` go to model_cfg, into its sections where they are sections."""
    config = {
        "model_cfg": {
            "embed_dim": 32,
            "quick_gelu": False,
            "vision_cfg": {
                "image_size": 32,
                "layers": 2,
                "width": 32,
                "head_width": 8,
                "patch_size": 8,
            },
            "text_cfg": {
                "context_length": 77,
                "vocab_size": 638,
                "width": 32,
                "heads": 4,
                "layers": 3,
            },
        },
        "preprocess_cfg": {
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
    for key, value in changes.items():
        section = config["model_cfg"].get(key)
        both = isinstance(section, dict) and isinstance(value, dict)
        config["model_cfg"][key] = section | value if both else value
    return config


def gelu_clip():
    """`tiny_clip` with GELU in both towers, as OpenCLIP's models have it (transformers' default is QuickGELU)."""
    model, tokenizer, processor = tiny_clip()
    config = model.config
    config.vision_config.hidden_act = config.text_config.hidden_act = "gelu"
    return (
        type(model).from_pretrained(
            None, config=config, state_dict=model.state_dict(), dtype=torch.float32
        ),
        tokenizer,
        processor,
    )


def save_openclip_folder(folder, *, suffix=".safetensors", config=None):
    """A folder as open_clip.push_to_hf_hub writes it, with a tokenizer; returns it."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    state = openclip_from_hf(gelu_clip()[0].state_dict())
    if suffix == ".safetensors":
        save_file(state, folder / "open_clip_model.safetensors")
    else:
        torch.save(state, folder / "open_clip_pytorch_model.bin")
    content = openclip_config() if config is None else config
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    clip_tokenizer().save_pretrained(folder)
    return folder
