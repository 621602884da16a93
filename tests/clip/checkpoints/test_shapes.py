"""Sizes of published models, from nothing but the shapes of their weights (which are on the meta device: no bytes)."""

import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from clipcond.clip.architecture import from_transformers
from clipcond.clip.checkpoints.shapes import from_weights
from clipcond.clip.resnet import ModifiedResNet
from clipcond.errors import CheckpointError

# text: width, layers, heads; image: width, layers, heads, mlp, patch, size; dim. From open_clip's model_configs/
VITS = {
    "ViT-B-32": ((512, 12, 8), (768, 12, 12, 3072, 32, 224), 512),
    "ViT-B-16": ((512, 12, 8), (768, 12, 12, 3072, 16, 224), 512),
    "ViT-L-14-336": ((768, 12, 12), (1024, 24, 16, 4096, 14, 336), 768),
    "ViT-H-14": ((1024, 24, 16), (1280, 32, 16, 5120, 14, 224), 1024),
    "ViT-g-14": ((1024, 24, 16), (1408, 40, 16, 6144, 14, 224), 1024),
    "ViT-bigG-14": ((1280, 32, 20), (1664, 48, 16, 8192, 14, 224), 1280),
}
# layers, width, heads, size, dim; text width, layers, heads
RESNETS = {
    "RN50": ((3, 4, 6, 3), 64, 32, 224, 1024, (512, 12, 8)),
    "RN101": ((3, 4, 23, 3), 64, 32, 224, 512, (512, 12, 8)),
    "RN50x4": ((4, 6, 10, 6), 80, 40, 288, 640, (640, 12, 10)),
    "RN50x16": ((6, 8, 18, 8), 96, 48, 384, 768, (768, 12, 12)),
    "RN50x64": ((3, 15, 36, 10), 128, 64, 448, 1024, (1024, 12, 16)),
}


def config_of(text, image, dim):
    width, layers, heads = text
    text_config = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "hidden_act": "gelu",
    }
    width, layers, heads, mlp, patch, size = image
    vision_config = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": mlp,
        "patch_size": patch,
        "image_size": size,
        "hidden_act": "gelu",
    }
    return CLIPConfig(text_config=text_config, vision_config=vision_config, projection_dim=dim)


@pytest.mark.parametrize("name", VITS)
def test_vits(name):
    config = config_of(*VITS[name])
    with torch.device("meta"):
        state = CLIPModel(config).state_dict()
    assert from_weights(state, name, activation="gelu") == from_transformers(config)
    again = from_transformers(from_transformers(config).to_transformers())
    assert again == from_transformers(config)


@pytest.mark.parametrize("name", RESNETS)
def test_resnets(name):
    layers, width, heads, size, dim, text = RESNETS[name]
    with torch.device("meta"):
        visual = ModifiedResNet(layers, width=width, heads=heads, image_size=size, dim=dim)
        towers = CLIPModel(config_of(text, (64, 1, 1, 64, 8, 32), dim)).state_dict()
    state = {k: v for k, v in towers.items() if not k.startswith("vis")}
    state |= {f"visual.{k}": v for k, v in visual.state_dict().items()}
    found = from_weights(state, name, activation="quick_gelu")
    image = found.image
    assert (image.layers, image.width, image.heads, image.image_size) == (
        layers,
        width,
        heads,
        size,
    )
    assert (found.text.width, found.text.layers, found.text.heads) == text
    assert (found.dim, found.is_resnet, image.activation) == (dim, True, "relu")


def test_heads_that_are_not_whole_ask_for_the_configuration():
    with torch.device("meta"):
        state = CLIPModel(config_of((96, 1, 3), (64, 1, 1, 64, 8, 32), 8)).state_dict()
    with pytest.raises(CheckpointError, match=r"file: .*96 channels.*open_clip_config\.json"):
        from_weights(state, "file", activation="gelu")
