"""Stage 2: CLIP on the emoji world, contrastive as in the paper.

    python -m weights.lab.train.clip --minutes 15 --run runs/small            # conditions and scores
    python -m weights.lab.train.clip --minutes 10 --run runs/small --judge --seed 1   # the held-out judge

Radford et al. 2021, figure 3: a symmetric cross-entropy over the N x N cosine similarities, with a learnt
logit scale clamped at ln 100. Half of every batch are near misses of the other half, so that the towers look at
every detail. Half of the pictures are on a background of a slightly other colour and, with one thing alone,
zoomed, so that the image tower knows a sprite at any size and anywhere. `--freeze-text` trains the image tower alone
(Zhai et al. 2022, LiT), for when a denoiser already reads the text tower.

Contrast alone stays blind to who stands left of whom for long: each tower learns to tell a relation only as far as the
other does already, and both begin at nothing. So a linear layer on each embedding has to name the scene's layout as
well (`layout`); these layers are dropped afterwards.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from clipcond.emoji.scenes import Scene
from clipcond.emoji.world import PRESETS
from weights.lab.train import common
from weights.lab.train.compose import Composer
from weights.lab.train.data import Batches, loader

SHAPES = {
    "small": dict(
        text=(128, 4, 4), vision=(160, 4, 4), patch=4, projection=128, batch=128, rate=1.2e-3
    ),
    "full": dict(
        text=(128, 4, 4), vision=(192, 5, 6), patch=16, projection=160, batch=1024, rate=1e-3
    ),
}

_SIZES = {"small": -1.0, "normal": 0.0, "large": 1.0}
_STEPS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}


def build(preset: str, tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIPModel of the preset's shape, untrained."""
    shape = SHAPES[preset]

    def tower(width: int, layers: int, heads: int) -> dict[str, object]:
        return dict(
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            hidden_act="quick_gelu",
            projection_dim=shape["projection"],
        )

    text = tower(*shape["text"]) | dict(
        vocab_size=len(tokenizer),
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = tower(*shape["vision"]) | dict(
        image_size=PRESETS[preset].size, patch_size=shape["patch"]
    )
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=shape["projection"])
    return CLIPModel(config)


def image_processor(size: int) -> CLIPImageProcessorPil:
    """CLIP's own preprocessing (bicubic, centre crop, its mean and std) at the world's size."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )


def normalize(pixels: torch.Tensor, processor: CLIPImageProcessorPil) -> torch.Tensor:
    """What the processor does to pictures that already have its size: uint8 -> float."""
    mean, std = (
        torch.tensor(v, device=pixels.device)[:, None, None]
        for v in (processor.image_mean, processor.image_std)
    )
    return (pixels / 255 - mean) / std


class Towers(nn.Module):
    """Both towers in one forward: unit embeddings of pictures and captions, each [batch, projection]."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, images: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From normalized pictures and token ids; what is behind a caption's first EOS changes nothing."""
        text = self.model.get_text_features(tokens).pooler_output.float()
        image = self.model.get_image_features(images).pooler_output.float()
        return F.normalize(image, dim=-1), F.normalize(text, dim=-1)


def contrastive_loss(image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Symmetric cross-entropy over the N x N similarities."""
    logits = scale * image @ text.T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def layout(scene: Scene, sprites: tuple[str, ...]) -> np.ndarray:
    """What the embeddings must tell of each sprite: [sprites, 4].

    How many there are (by halves), their size (small is -1, large 1), and the step to it from the other one.
    """
    target = np.zeros((len(sprites), 4), np.float32)
    for group in scene.groups:
        target[sprites.index(group.sprite), :2] = group.count / 2, _SIZES[str(group.size)]
    if scene.relation:
        step = _STEPS[scene.relation]
        for sign, item in zip((1, -1), scene.items, strict=True):
            target[sprites.index(item.sprite), 2:] = sign * np.array(step)
    return target


class LayoutHeads(nn.Module):
    """A linear reading of `layout` from each tower's embedding; used in training only.

    It begins at zero: a random reading of so many outputs would give the towers a gradient many times the contrastive
    one, which the clipping of the norm would then take away.
    """

    def __init__(self, projection: int, sprites: int) -> None:
        super().__init__()
        self.image, self.text = (nn.Linear(projection, 4 * sprites) for _ in range(2))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, image: torch.Tensor, text: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        """Squared error of both readings, summed over the layout."""
        scale = image.shape[1] ** 0.5  # entries of order one
        readings = (self.image(image * scale), self.text(text * scale))
        return sum((r - target.flatten(1)).square().sum(1).mean() for r in readings)


def batches(args: Any, tokenizer: CLIPTokenizer, step: int) -> Batches:
    """Half of each batch are near misses; half of the pictures are varied."""
    return Batches(
        preset=args.preset,
        stream=1000 * (1 + args.seed) + step,
        size=args.batch or SHAPES[args.preset]["batch"],
        tokenizer=tokenizer,
        target=partial(layout, sprites=PRESETS[args.preset].sprites),
        contrastive=True,
        length=None,
        empty=0.0,
    )


def train(args: Any, model: CLIPModel, tokenizer: CLIPTokenizer, name: str) -> None:
    """Train until the clock runs out."""
    shape, device = SHAPES[args.preset], torch.device(args.device)
    processor = image_processor(PRESETS[args.preset].size)
    model.to(device).train()
    if device.type == "cpu":
        model.set_attn_implementation("eager")  # its backward is half as long as sdpa's here
    if args.freeze_text:
        model.text_model.requires_grad_(False)
        model.text_projection.requires_grad_(False)
    compose = Composer(args.preset, zooms=True).to(device)
    heads = LayoutHeads(shape["projection"], len(PRESETS[args.preset].sprites)).to(device)
    groups = common.decay_groups(model, 0.1) + common.decay_groups(heads, 0.0)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    stage = common.Stage(name, args, optimizer, model=model, heads=heads)
    towers = common.compiled(Towers(model), device)
    data = loader(batches(args, tokenizer, stage.step), device, args.workers)
    while stage.going(args.rate or shape["rate"]):
        batch = next(data)
        images = normalize(compose(batch.layout), processor)
        with common.autocast(device):
            image, text = towers(images, batch.tokens)
        loss = contrastive_loss(image, text, model.logit_scale.exp())
        read = heads(image, text, batch.target)
        stage.optimizer.zero_grad()
        (loss + read).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        stage.optimizer.step()
        model.logit_scale.data.clamp_(0, math.log(100))
        stage.stepped(loss, len(images), layout=read.detach(), logit_scale=model.logit_scale.exp())


def save(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path, size: int) -> None:
    """A CLIP folder that stock transformers loads."""
    common.save_half(model, folder)
    tokenizer.save_pretrained(folder)
    image_processor(size).save_pretrained(folder)


def main() -> None:
    """Train one CLIP and save it to `RUN/clip` or, with --judge, `RUN/judge`."""
    parser = common.options(__doc__, minutes=15)
    parser.add_argument(
        "--judge", action="store_true", help="train weights/judge instead: give another --seed"
    )
    parser.add_argument(
        "--freeze-text", action="store_true", help="train the image tower only (with --init)"
    )
    args = common.parse(parser)
    name = "judge" if args.judge else "clip"
    torch.manual_seed(args.seed)
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    if args.init:
        shipped = args.init.parent / "judge" if args.judge else args.init / "clip"
        model = CLIPModel.from_pretrained(shipped).float()
    else:
        model = build(args.preset, tokenizer)
    train(args, model, tokenizer, name)
    # read again: training has set how the first one pads, and that would be saved
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    save(model, tokenizer, args.run / name, PRESETS[args.preset].size)


if __name__ == "__main__":
    main()
