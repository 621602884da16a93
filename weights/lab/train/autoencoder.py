"""Stage 3: the autoencoder, a diffusers AutoencoderTiny whose weights are set, not learnt.

    python -m weights.lab.train.autoencoder --run runs/small

It turns patches into channels and back, linearly (`patches.py`), so that all the training time goes to the denoiser.
`small` moves each 4 x 4 patch as it is and loses nothing; the others keep the principal components of each 8 x 8 patch.
"""

import json
import math

import numpy as np
import torch
from diffusers import AutoencoderTiny

from clipcond.emoji import sample
from clipcond.emoji.render import render_array
from clipcond.emoji.world import PRESETS
from weights.lab.drawing import judged
from weights.lab.train import common
from weights.lab.train.patches import Code, encode, fold, identity_code, principal_code, unfold

LATENT_CHANNELS = {"small": 48, "medium": 96, "full": 48}
FOLD = {"small": 4, "medium": 8, "full": 8}  # pixels of a latent's side
SCALING_FACTOR = {
    "small": 34.0,
    "medium": 1400.0,
    "full": 1017.0,
}  # makes latents of rendered scenes about unit variance
QUARTER_PARTS = {"medium": 24, "full": 16}  # components of a 4 x 4 quarter of an 8 x 8 patch
_FIRST_SEED = 7 << 40  # a stream of its own
_SCENES = 512


def pictures(preset: str, first: int, count: int) -> torch.Tensor:
    """Rendered training scenes, [count, 3, size, size] in -1..1."""
    size = PRESETS[preset].size
    drawn = [render_array(sample(_FIRST_SEED + first + i, preset), size) for i in range(count)]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2) / 127.5 - 1


def code_of(preset: str) -> Code:
    """The preset's linear code."""
    if preset not in QUARTER_PARTS:
        return identity_code()
    return principal_code(
        pictures(preset, 0, _SCENES),
        channels=LATENT_CHANNELS[preset],
        parts=QUARTER_PARTS[preset],
    )


def build(preset: str) -> AutoencoderTiny:
    """An AutoencoderTiny that gives back what its code keeps."""
    code = code_of(preset)
    levels = len(code.levels)
    cells = PRESETS[preset].size // FOLD[preset]
    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS[preset],
        encoder_block_out_channels=(code.projection.shape[1],) * (levels + 1),
        decoder_block_out_channels=(code.width,) * (levels + 1),
        num_encoder_blocks=(0,) * (levels + 1),
        # the first blocks count three columns of the map each, after a first one
        num_decoder_blocks=(math.ceil((cells - 1) / 3), *(1,) * levels),
        scaling_factor=SCALING_FACTOR[preset],
    )
    fold(model.encoder, code)
    unfold(model.decoder, code, columns=cells)
    return model


def latents_of(model: AutoencoderTiny, pixels: torch.Tensor) -> torch.Tensor:
    """What the encoder gives, times the scaling factor, without running it: uint8 pictures -> latents."""
    projection = model.encoder.layers[-1].weight[:, :, 1, 1]
    return encode(pixels / 127.5 - 1, projection) * model.config.scaling_factor


@torch.no_grad()
def decoded(model: AutoencoderTiny, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in -1..1, encoded and decoded."""
    parts = pictures.split(16)
    return torch.cat([model.decode(model.encode(part).latents).sample for part in parts])


def quality(model: AutoencoderTiny, preset: str, count: int = 64) -> dict[str, float]:
    """Mean squared error of pictures in 0..1, and the share that the oracle still reads, on fresh scenes."""
    scenes = [sample(_FIRST_SEED + _SCENES + i, preset) for i in range(count)]
    true = pictures(preset, _SCENES, count)
    drawn = decoded(model, true)
    levels = ((drawn + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    read = [bool(row[0]) for row in judged(scenes, levels[:, None].numpy(), preset)]
    return {"mse": ((drawn - true) / 2).square().mean().item(), "read_back": sum(read) / count}


def main() -> None:
    """Build and save to `RUN/vae`."""
    args = common.parse(common.options(__doc__, minutes=0))
    model = build(args.preset).half()
    model.save_pretrained(args.run / "vae")
    print(json.dumps({"stage": "autoencoder"} | quality(model.float(), args.preset)))


if __name__ == "__main__":
    main()
