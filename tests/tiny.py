"""Tiny random models of the real classes for tests: the pipelines of tests/doubles.py, CLIP, and folders of both."""

from pathlib import Path

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from tests.doubles import (
    WORDS,
    clip_bpe,
    clip_tokenizer,
    text_config,
    tiny_pipeline,
    tiny_text_encoder,
)

__all__ = [
    "WORDS",
    "clip_bpe",
    "clip_tokenizer",
    "save_tiny_clip",
    "save_tiny_pipeline",
    "text_config",
    "tiny_clip",
    "tiny_pipeline",
    "tiny_text_encoder",
]


def tiny_clip(
    seed: int = 0, width: int = 32
) -> tuple[CLIPModel, CLIPTokenizer, CLIPImageProcessorPil]:
    """(model, tokenizer, image processor): both towers, pictures of 32 x 32 in patches of 8."""
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=width + 5,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=width,
        image_size=32,
        patch_size=8,
    )
    config = CLIPConfig(
        text_config=text_config(width).to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=width,
    )
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return CLIPModel(config).eval(), clip_tokenizer(), processor


def save_tiny_clip(folder: str | Path, seed: int = 0) -> Path:
    """Write `tiny_clip` in the transformers folder layout; returns the folder."""
    for part in tiny_clip(seed):
        part.save_pretrained(folder)
    return Path(folder)


def save_tiny_pipeline(folder: str | Path, seed: int = 0) -> Path:
    """Write `tiny_pipeline` in the diffusers folder layout, with a CLIP in clip/; returns the folder."""
    tiny_pipeline(seed=seed).save_pretrained(folder)
    save_tiny_clip(Path(folder) / "clip", seed)
    return Path(folder)
