"""Stage 3: the autoencoder, a diffusers AutoencoderTiny whose weights are set, not learnt.

    python -m weights.train.autoencoder --run runs/small

It moves each 4 x 4 patch into 48 channels and back (`patches.py`) and loses nothing, so that what the denoiser makes is
what one sees, and all the training time goes to the denoiser.
"""

import json

import torch
from diffusers import AutoencoderTiny

from clipcond.emoji.world import PRESETS
from weights.train import common
from weights.train.patches import CODE_RANGE, LATENT_CHANNELS, WIDTH, codes, fold, unfold

COUNTING_BLOCKS = {"small": 3, "full": 5}  # each counts three columns of the map, after a first one
SCALING_FACTOR = 1.7 / CODE_RANGE  # makes the latents of rendered scenes about unit variance


def build(preset: str) -> AutoencoderTiny:
    """An AutoencoderTiny that gives back exactly what it takes."""
    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=(LATENT_CHANNELS,) * 3,
        decoder_block_out_channels=(WIDTH,) * 3,
        num_encoder_blocks=(0, 0, 0),
        num_decoder_blocks=(COUNTING_BLOCKS[preset], 1, 1),
        scaling_factor=SCALING_FACTOR,
    )
    fold(model.encoder)
    unfold(model.decoder, columns=PRESETS[preset].size // 4)
    return model


def latents_of(pixels: torch.Tensor) -> torch.Tensor:
    """What the encoder gives, times the scaling factor, without running it: uint8 pictures -> latents."""
    return codes(pixels / 127.5 - 1) * SCALING_FACTOR


@torch.no_grad()
def error(model: AutoencoderTiny, preset: str, count: int = 256) -> float:
    """Mean squared error of encode and decode, pictures in 0..1, on fresh scenes."""
    _, pixels = common.batch(common.scenes(preset, 7), count, preset)
    target = pixels / 127.5 - 1
    drawn = torch.cat(
        [model.decode(model.encode(part).latents).sample for part in target.split(64)]
    )
    return ((drawn - target) / 2).square().mean().item()


def main() -> None:
    """Build and save to `RUN/vae`."""
    args = common.parse(common.options(__doc__, minutes=0))
    model = build(args.preset).half()
    model.save_pretrained(args.run / "vae")
    print(json.dumps({"stage": "autoencoder", "mse": error(model.float(), args.preset)}))


if __name__ == "__main__":
    main()
