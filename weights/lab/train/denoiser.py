"""Stage 4: the denoiser, a UNet2DConditionModel that reads the CLIP text encoder's token states.

    python -m weights.lab.train.denoiser --minutes 70 --run runs/small

Rectified flow, x_s = (1 - s) x + s e (Liu et al. 2022), in stock schedulers' terms: DPM-Solver++ with
`use_flow_sigmas`. The network predicts the clean code (`prediction_type="sample"`) and the loss is that of the
velocity, (x' - x)^2 / s^2, which small networks learn best (Li and He 2025, "Back to basics"). One caption in ten is
empty, for classifier-free guidance. What ships is the moving average of the weights.

The velocity alone leaves it blind to who stands left of whom for long. So a 1 x 1 convolution on the middle block, used
in training only, has to name the sprite in each cell as well; where the noise hides the picture, only the text can tell.
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer

from clipcond.emoji.scenes import Scene
from clipcond.emoji.world import PRESETS, UNITS
from weights.lab.train import common
from weights.lab.train.autoencoder import FOLD, LATENT_CHANNELS, latents_of
from weights.lab.train.compose import Composer
from weights.lab.train.data import Batches, loader
from weights.lab.train.pipeline import pipeline, sample_grid
from weights.lab.train.reading import Reader, States, TextStates, Windows
from weights.lab.train.transfer import transfer_denoiser

SHAPES = {
    "small": dict(channels=(96, 160), groups=16, batch=64, rate=8e-4, average=0.998),
    "medium": dict(channels=(96, 160), groups=16, batch=64, rate=8e-4, average=0.998),
    "full": dict(channels=(96, 160), groups=16, batch=512, rate=8e-4, average=0.999),
}
FREE_SHARE = 0.1  # of captions left empty
LONG_SHARE = 0.15  # of blocks whose captions fill two windows, in worlds that have as much to say
MIN_SIGMA = 0.15  # below it the weight stays: copying its input must not drown what the network has to invent
BLOCK, REUSE = (
    16,
    3,
)  # batches sampled at a time, and how often each scene is seen, with other noise
GRID_MINUTES = 8  # between two sample grids
LAYOUT_WEIGHT = 0.05  # makes the two losses about as large
_LONG = 500  # between the streams of short and of long captions
TRAIN_STEPS = 1000  # timesteps are sigma x 1000 in the schedulers


def build(preset: str, text_width: int) -> UNet2DConditionModel:
    """An untrained denoiser of the preset's shape."""
    channels = SHAPES[preset]["channels"]
    return UNet2DConditionModel(
        sample_size=PRESETS[preset].size // FOLD[preset],
        in_channels=LATENT_CHANNELS[preset],
        out_channels=LATENT_CHANNELS[preset],
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        layers_per_block=1,
        norm_num_groups=SHAPES[preset]["groups"],
        attention_head_dim=4,
        cross_attention_dim=text_width,
    )


def sample_sigma(count: int, device: torch.device) -> torch.Tensor:
    """Noise levels: logit-normal, leaning to the noisy side where the layout is decided, plus a uniform share."""
    sigma = torch.sigmoid(0.6 + 1.2 * torch.randn(count, device=device))
    uniform = torch.rand(count, device=device)
    return torch.where(torch.rand(count, device=device) < 0.15, uniform, sigma).clamp(1e-3, 0.9995)


def layout(scene: Scene, sprites: tuple[str, ...], side: int) -> np.ndarray:
    """[side, side]: the sprite at the middle of each cell of the picture, from 1; 0 where there is none."""
    middles = (np.arange(side) + 0.5) * UNITS / side
    cells = np.zeros((side, side), np.int64)
    for item in scene.items:
        across, down = (
            (start <= middles) & (middles < start + item.size) for start in (item.x, item.y)
        )
        cells[np.ix_(down, across)] = 1 + sprites.index(item.sprite)
    return cells


class WithMiddle(nn.Module):
    """A denoiser that also gives what its middle block makes."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet
        unet.mid_block.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _args: Any, output: torch.Tensor) -> None:
        self.middle = output

    def forward(
        self, noisy: torch.Tensor, timestep: torch.Tensor, states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The predicted clean code and the middle block's output."""
        predicted = self.unet(noisy, timestep, states, return_dict=False)[0]
        return predicted, self.middle


class Losses(nn.Module):
    """The velocity's error, and that of the layout that a linear layer reads from the middle block."""

    def __init__(self, width: int, sprites: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(width, sprites + 1, 1)

    def forward(
        self, unet: nn.Module, latents: torch.Tensor, states: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared error of the velocity that a predicted clean code implies; cross-entropy of the cells."""
        sigma = sample_sigma(len(latents), latents.device)
        s = sigma[:, None, None, None]
        noisy = (1 - s) * latents + s * torch.randn_like(latents)
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        with common.autocast(latents.device):
            predicted, middle = unet(noisy, sigma * TRAIN_STEPS, states)
            named = self.head(middle)
        velocity = (predicted.float() - latents) / s.clamp(min=MIN_SIGMA)
        return velocity.square().mean(), F.cross_entropy(named.float(), cells)


def batches(args: Any, read: Reader, step: int, *, long: bool = False) -> Batches:
    """Training scenes with captions at all positions, one in ten empty, and the sprite in each cell."""
    shape, world = SHAPES[args.preset], PRESETS[args.preset]
    side = (world.size // FOLD[args.preset]) >> (len(shape["channels"]) - 1)  # of the middle block
    return Batches(
        preset=args.preset,
        stream=3000 + args.seed + step + (_LONG if long else 0),
        size=args.batch or shape["batch"],
        read=read,
        target=partial(layout, sprites=world.sprites, side=side),
        near_misses=False,
        varies=False,
        empty=FREE_SHARE,
        described=float(long),
        windows=2,
    )


def examples(
    args: Any, data: tuple[Batches, Batches], states: States, vae: AutoencoderTiny
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Endless (latents, text states, layouts), from batches of short and of long captions."""
    device = vae.device
    compose = Composer(args.preset, zooms=False).to(device)
    short, long = (loader(each, device, args.workers) for each in data)
    share = LONG_SHARE if "several" in PRESETS[args.preset].kinds else 0.0
    while True:
        block = [
            (latents_of(vae, compose(batch.layout)), states(batch.tokens), batch.target)
            for batch in islice(long if torch.rand(()) < share else short, BLOCK)
        ]
        latents, read, cells = (torch.cat(part) for part in zip(*block, strict=True))
        for _ in range(REUSE):
            for chosen in torch.randperm(len(latents), device=device).split(data[0].size):
                yield latents[chosen], read[chosen], cells[chosen]


def train(
    args: Any,
    unet: UNet2DConditionModel,
    read: Reader,
    states: States,
    *,
    draw: Callable[[nn.Module, int], None] | None = None,
) -> nn.Module:
    """Train until the clock runs out, and now and then draw with the averaged weights, which are returned."""
    shape, device = SHAPES[args.preset], torch.device(args.device)
    unet.to(device, memory_format=torch.channels_last).train()
    if device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # its backward is half as long as sdpa's here
    average = copy.deepcopy(unet).eval().requires_grad_(False)
    losses = Losses(shape["channels"][-1], len(PRESETS[args.preset].sprites)).to(device)
    groups = common.decay_groups(unet, 0.02) + common.decay_groups(losses, 0.0)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    stage = common.Stage("denoiser", args, optimizer, model=unet, average=average, losses=losses)
    torch.manual_seed(args.seed * 1_000_003 + stage.step)
    denoiser = WithMiddle(unet)
    if common.compiles(args):
        denoiser.compile()
    vae = AutoencoderTiny.from_pretrained(args.run / "vae").requires_grad_(False)
    both = tuple(batches(args, read, stage.step, long=long) for long in (False, True))
    data = examples(args, both, states, vae.to(device))
    drawn = stage.clock.spent
    while stage.going(args.rate or shape["rate"]):
        optimizer.zero_grad()
        latents, said, cells = next(data)
        loss, misread = losses(denoiser, latents, said, cells)
        (loss + LAYOUT_WEIGHT * misread).backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        stage.stepped(loss, len(latents), layout=misread.detach())
        decay = min(shape["average"], (1 + stage.step) / (10 + stage.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(unet.parameters()), 1 - decay)
        if draw and stage.clock.spent - drawn > GRID_MINUTES:
            draw(average, stage.step)
            drawn = stage.clock.spent
    if draw:
        draw(average, stage.step)
    return average


def main() -> None:
    """Train and save to `RUN/unet`."""
    parser = common.options(__doc__, minutes=70)
    parser.add_argument("--samples", type=int, default=32, help="pictures of a sample grid")
    args = common.parse(parser)

    def draw(average: nn.Module, step: int) -> None:
        path = args.run / f"samples-{step:06d}.png"
        sample_grid(pipeline(args.run, average), path, preset=args.preset, count=args.samples)

    torch.manual_seed(args.seed)
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    clip = CLIPModel.from_pretrained(args.run / "clip").float()
    states = TextStates(clip, torch.device(args.device))
    unet = build(args.preset, clip.config.text_config.hidden_size)
    if args.init:
        old = UNet2DConditionModel.from_pretrained(args.init / "unet").float()
        vaes = (AutoencoderTiny.from_pretrained(f / "vae").float() for f in (args.init, args.run))
        transfer_denoiser(old, unet, *vaes)
    average = train(args, unet, Windows(tokenizer), states, draw=draw)
    average.cpu().half().save_pretrained(args.run / "unet")


if __name__ == "__main__":
    main()
