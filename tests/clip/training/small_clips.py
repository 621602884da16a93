"""Untrained CLIPs of every kind that is trained, small enough for a test, and batches for them."""

from functools import cache

import torch

from clipcond.clip import load_clip
from clipcond.clip.architecture import Architecture, ImageTower, TextTower
from clipcond.clip.towers import pooled_at
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.building import build_clip
from clipcond.clip.training.presets import Preset
from clipcond.clip.training.vocabulary import learn
from tests.clip.tiny_kinds import save_siglip, unigram

CAPTIONS = ["a red fox", "two blue birds", "the digit seven", "a small green tree", "a red bird"]
KINDS = ("vit", "resnet")

_TEXT = TextTower(
    width=32, layers=3, heads=2, mlp=128, vocabulary=600, context=77, activation="quick_gelu"
)
_IMAGES = {
    "vit": ImageTower(
        image_size=32, width=48, layers=2, heads=3, mlp=192, patch=8, activation="quick_gelu"
    ),
    "resnet": ImageTower(
        image_size=64,
        width=8,
        layers=(1, 2, 1, 1),
        heads=4,
        mlp=None,
        patch=None,
        activation="relu",
    ),
}


@cache
def tokenizer():
    return learn(CAPTIONS * 3, 600)


def preset(kind):
    return Preset(
        architecture=Architecture(text=_TEXT, image=_IMAGES[kind], dim=24), batch=8, rate=1e-3
    )


def small_clip(kind, seed=0):
    return build_clip(preset(kind), tokenizer(), seed)


def small_siglip(folder):
    save_siglip(folder, unigram())
    return load_clip(folder)


def batch(clip, count=6, seed=0):
    """Random pictures with captions."""
    size = clip.architecture.image.image_size
    where, positions = clip.architecture.text.features, clip.positions
    texts = [CAPTIONS[i % len(CAPTIONS)] for i in range(count)]
    rows, _ = clip.reader.read(texts, positions)
    length = positions if where == "last" else max(map(len, rows))
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        pixels=torch.randn(count, 3, size, size, generator=generator),
        tokens=torch.tensor([clip.reader.filled(row, length) for row in rows]),
        ends=torch.tensor([pooled_at(row, where, positions) for row in rows]),
        pictures=torch.arange(count),
        captions=torch.arange(count) % len(CAPTIONS),
    )


def compared(towers, pairs):
    return towers(pairs.pixels, pairs.tokens, pairs.ends)


def loss_of(found):
    """The plain symmetric cross-entropy."""
    logits = found.scale * found.image @ found.text.T
    if found.bias is not None:
        logits = logits + found.bias
    cross = torch.nn.functional.cross_entropy
    at = torch.arange(len(logits))
    return (cross(logits, at) + cross(logits.T, at)) / 2


def step(towers, pairs, rate=1e-2):
    """One step of gradient descent in training mode; returns the loss before it."""
    towers.train()
    parameters = [p for p in towers.parameters() if p.requires_grad]
    loss = loss_of(compared(towers, pairs))
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter.sub_(rate * parameter.grad)
            parameter.grad = None
    return loss.item()
