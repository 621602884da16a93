"""Random weights as openai/CLIP draws them (model.py: initialize_parameters, and the constructors of its towers).

transformers' own initialisation differs: it takes the deviations of the query and of the output projection for each
other's, draws the ViT's blocks like the text tower's, and knows no ResNet.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from clipcond.clip.resnet import ModifiedResNet

LOGIT_SCALE = math.log(1 / 0.07)
_QKV = ("q_proj", "k_proj", "v_proj")


@torch.no_grad()
def initialize(model: Any) -> None:
    """Draw every weight of a CLIPModel or ResNetClip anew, from torch's global generator.

    Args:
        model: of transformers' CLIP kind; its text tower and its image tower.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.LayerNorm | nn.BatchNorm2d):
            module.reset_parameters()
    _text(model.text_model, model.text_projection)
    if hasattr(model, "visual"):
        _resnet(model.visual)
    else:
        _vit(model.vision_model, model.visual_projection)
    model.logit_scale.fill_(LOGIT_SCALE)


def _text(tower: Any, projection: nn.Linear) -> None:
    width, blocks = projection.in_features, tower.encoder.layers
    nn.init.normal_(tower.embeddings.token_embedding.weight, std=0.02)
    nn.init.normal_(tower.embeddings.position_embedding.weight, std=0.01)
    residual = width**-0.5 * (2 * len(blocks)) ** -0.5
    for block in blocks:
        attention, mlp = block.self_attn, block.mlp
        for name in _QKV:
            nn.init.normal_(getattr(attention, name).weight, std=width**-0.5)
        nn.init.normal_(attention.out_proj.weight, std=residual)
        nn.init.normal_(mlp.fc1.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(mlp.fc2.weight, std=residual)
        _zero_biases(attention)
    nn.init.normal_(projection.weight, std=width**-0.5)


def _vit(tower: Any, projection: nn.Linear) -> None:
    """Blocks as torch's MultiheadAttention and Linear draw them: query, key and value as one matrix of Xavier's."""
    embeddings, scale = tower.embeddings, projection.in_features**-0.5
    for tensor in (
        embeddings.class_embedding,
        embeddings.position_embedding.weight,
        projection.weight,
    ):
        nn.init.normal_(tensor, std=scale)
    bound = (6 / (4 * projection.in_features)) ** 0.5  # of 3 width x width
    for block in tower.encoder.layers:
        for name in _QKV:
            nn.init.uniform_(getattr(block.self_attn, name).weight, -bound, bound)
        _zero_biases(block.self_attn)


def _resnet(tower: ModifiedResNet) -> None:
    pool = tower.attnpool
    std = pool.q_proj.in_features**-0.5
    nn.init.normal_(pool.positional_embedding, std=std)
    for layer in (pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj):
        nn.init.normal_(layer.weight, std=std)
    for name, parameter in tower.named_parameters():
        if name.endswith("bn3.weight") and name.startswith("layer"):
            nn.init.zeros_(parameter)


def _zero_biases(module: nn.Module) -> None:
    biases: Iterable[nn.Parameter] = (
        parameter for name, parameter in module.named_parameters() if name.endswith("bias")
    )
    for bias in biases:
        nn.init.zeros_(bias)
