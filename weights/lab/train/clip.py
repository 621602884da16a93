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
well (`layout`); these layers are dropped afterwards. `--plain` goes without both, to compare with.
"""

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import CLIPImageProcessorPil, CLIPTokenizer

from clipcond.clip import Clip
from clipcond.clip.architecture import Architecture, ImageTower
from clipcond.clip.training import presets
from clipcond.clip.training.accelerating import make_accelerator
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.building import build_clip, start_clip, trained
from clipcond.clip.training.loop import fit
from clipcond.clip.training.presets import Preset
from clipcond.clip.training.settings import Keeping, Settings
from clipcond.clip.training.towers import Compared
from clipcond.emoji.scenes import Scene
from clipcond.emoji.world import PRESETS, UNITS
from weights.lab.train import common
from weights.lab.train.compose import Composer
from weights.lab.train.data import Batches, loader
from weights.lab.train.reading import Padded
from weights.lab.train.transfer import transfer_clip

_TINY = presets.PRESETS["tiny"]
_TEXT = _TINY.architecture.text
SIZES: dict[str, Preset] = {
    "small": _TINY,
    "medium": replace(
        _TINY,
        architecture=replace(
            _TINY.architecture,
            image=replace(_TINY.architecture.image, image_size=64, patch=8),
        ),
    ),
    "full": Preset(
        architecture=Architecture(
            text=_TEXT,
            image=ImageTower(
                image_size=128,
                width=192,
                layers=5,
                heads=6,
                mlp=768,
                patch=16,
                activation=_TEXT.activation,
            ),
            dim=160,
        ),
        batch=1024,
        rate=1e-3,
    ),
}

_LENGTHS = {"small": -1.0, "normal": 0.0, "large": 1.0}
_STEPS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}


def image_processor(size: int) -> CLIPImageProcessorPil:
    """CLIP's own preprocessing (bicubic, centre crop, its mean and std) at the world's size."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )


def layout(scene: Scene, sprites: tuple[str, ...]) -> np.ndarray:
    """What the embeddings must tell of each sprite: [sprites, 6].

    How many there are (by halves), their size (small is -1, large 1), of two the step to it from the other one, and of
    more where the only one of its kind stands (the picture's edges are -1 and 1).
    """
    target = np.zeros((len(sprites), 6), np.float32)
    for group in scene.groups:
        target[sprites.index(group.sprite), :2] = group.count / 2, _LENGTHS[str(group.size)]
    if scene.relation:
        step = _STEPS[scene.relation]
        for sign, item in zip((1, -1), scene.items, strict=True):
            target[sprites.index(item.sprite), 2:4] = sign * np.array(step)
    elif len(scene.items) > 2:
        for item in scene.items:
            if scene.only(item.sprite):
                middle = np.array((item.x, item.y)) + item.size / 2
                target[sprites.index(item.sprite), 4:] = middle / (UNITS / 2) - 1
    return target


class LayoutHeads(nn.Module):
    """A linear reading of `layout` from each tower's embedding; used in training only.

    It begins at zero: a random reading of so many outputs would give the towers a gradient many times the contrastive
    one, which the clipping of the norm would then take away.
    """

    def __init__(self, projection: int, sprites: int) -> None:
        super().__init__()
        self.image, self.text = (nn.Linear(projection, 6 * sprites) for _ in range(2))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, compared: Compared, target: torch.Tensor) -> torch.Tensor:
        """Squared error of both readings, summed over the layout and over the pairs."""
        scale = compared.image.shape[1] ** 0.5  # entries of order one
        readings = (self.image(compared.image * scale), self.text(compared.text * scale))
        return sum((r - target.flatten(1)).square().sum() for r in readings)


def batches(args: Any, tokenizer: CLIPTokenizer, step: int) -> Batches:
    """Half of each batch are near misses, if not --plain; half of the pictures are varied."""
    return Batches(
        preset=args.preset,
        stream=1000 * (1 + args.seed) + step,
        size=args.batch or SIZES[args.preset].batch,
        read=Padded(tokenizer),
        target=partial(layout, sprites=PRESETS[args.preset].sprites),
        near_misses=not args.plain,
        varies=True,
        empty=0.0,
        described=0.15 if "several" in PRESETS[args.preset].kinds else 0.0,
        windows=1,
    )


def shares(args: Any, clip: Clip, step: int) -> Iterator[Batch]:
    """Batches from a step on, their pictures composed and prepared on the device."""
    device = torch.device(args.device)
    compose = Composer(args.preset, zooms=True).to(device)
    mean, std = (
        torch.tensor(v, device=device)[:, None, None]
        for v in (clip.preprocessing.mean, clip.preprocessing.std)
    )
    for drawn in loader(batches(args, clip.tokenizer, step), device, args.workers):
        tokens = drawn.tokens[:, 0]
        yield Batch(
            pixels=(compose(drawn.layout) / 255 - mean) / std,
            tokens=tokens,
            ends=(tokens == clip.tokenizer.eos_token_id).int().argmax(1),
            pictures=numbers(drawn.layout.tiles.flatten(1), drawn.layout.background),
            captions=numbers(tokens),
            target=drawn.target,
        )


def numbers(*columns: torch.Tensor) -> torch.Tensor:
    """A number a row that equal rows share."""
    rows = torch.cat([column.long() for column in columns], dim=1)
    return rows.unique(dim=0, return_inverse=True)[1]


def settings(args: Any, device: torch.device) -> Settings:
    """As they were found for this world."""
    return Settings(
        steps=args.steps,
        minutes=None if args.steps else args.minutes,
        rate=args.rate or SIZES[args.preset].rate,
        warmup=common.WARMUP_STEPS,
        hold=common.HOLD,
        lock="text" if args.freeze_text else None,
        precision=str(common.training_dtype(device)).removeprefix("torch."),
        compile=common.compiles(args),
        seed=args.seed,
    )


def train(args: Any, clip: Clip, out: Path) -> Clip:
    """Train until the clock runs out, or the call's does; its checkpoint and log are in the folder."""
    chosen = settings(args, torch.device(args.device))
    out.mkdir(parents=True, exist_ok=True)
    last = threading.Timer(60 * (args.call_minutes or 0), signal.raise_signal, [signal.SIGINT])
    if args.call_minutes:
        last.start()  # the loop takes a Ctrl-C as the wish to stop after the step
    try:
        fitted = fit(
            clip,
            partial(shares, args, clip),
            chosen,
            accelerator=make_accelerator(chosen, out=out, device=args.device),
            out=out,
            keeping=Keeping(minutes=common.SAVE_MINUTES, last=1, log_steps=common.LOG_STEPS),
            extra=None
            if args.plain
            else LayoutHeads(clip.architecture.dim, len(PRESETS[args.preset].sprites)),
        )
    finally:
        last.cancel()
    return trained(clip, fitted.towers)


def save(clip: Clip, tokenizer: CLIPTokenizer, folder: Path, size: int) -> None:
    """A CLIP folder that stock transformers loads, in float16."""
    common.save_half(clip.model, folder)
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
    parser.add_argument(
        "--plain", action="store_true", help="by contrast alone: no near misses, no heads"
    )
    args = common.parse(parser)
    name = "judge" if args.judge else "clip"
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    old = args.init and start_clip(args.init.parent / "judge" if args.judge else args.init / "clip")
    if old and old.architecture == SIZES[args.preset].architecture:
        clip = old
    else:
        clip = build_clip(SIZES[args.preset], tokenizer, args.seed)
        if old:
            transfer_clip(old, clip)
    clip = train(args, clip, args.run / f"{name}-training")
    # read again: training has set how the first one pads, and that would be saved
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    save(clip, tokenizer, args.run / name, PRESETS[args.preset].size)


if __name__ == "__main__":
    main()
