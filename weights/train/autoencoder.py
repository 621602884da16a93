"""Stage 3: the autoencoder, a diffusers AutoencoderTiny.

    python -m weights.train.autoencoder --minutes 6 --run runs/small

Encoder and decoder start from weights that are set, not learnt, and lose nothing: `fold` moves each 4 x 4 patch into 48
channels, `unfold` moves them back (`patches.py`). The encoder stays so. The decoder then learns to be a denoiser: it
sees codes with a little noise on them and must draw the clean picture, so that the small errors of a denoiser's last
step do not reach the eye.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny

from clipcond.emoji.world import PRESETS
from weights.train import common
from weights.train.patches import CODE_RANGE, LATENT_CHANNELS, WIDTH, codes, fold, unfold

SHAPES = {
    "small": dict(blocks=(3, 1, 1), batch=32, rate=3e-4, noise=0.25),
    "full": dict(blocks=(5, 1, 1), batch=128, rate=3e-4, noise=0.25),
}
SCALING_FACTOR = 1.7 / CODE_RANGE  # makes the latents of rendered scenes about unit variance


def build(preset: str) -> AutoencoderTiny:
    """An AutoencoderTiny that gives back exactly what it takes."""
    blocks = SHAPES[preset]["blocks"]
    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=(LATENT_CHANNELS,) * 3,
        decoder_block_out_channels=(WIDTH,) * 3,
        num_encoder_blocks=(0, 0, 0),
        num_decoder_blocks=blocks,
        scaling_factor=SCALING_FACTOR,
    )
    fold(model.encoder)
    unfold(model.decoder, columns=PRESETS[preset].size // 4)
    return model


def latents_of(pixels: torch.Tensor) -> torch.Tensor:
    """What the encoder gives, times the scaling factor, without running it: uint8 pictures -> latents."""
    return codes(pixels / 127.5 - 1) * SCALING_FACTOR


def decode_loss(model: AutoencoderTiny, pixels: torch.Tensor, noise: float) -> torch.Tensor:
    """L1 and L2 between the clean picture and what is drawn from its noisy code."""
    latents = latents_of(pixels)
    level = torch.rand(len(latents), 1, 1, 1, device=latents.device) * noise
    latents = latents + level * torch.randn_like(latents)
    error = model.decode(latents / SCALING_FACTOR).sample.float() - (pixels / 127.5 - 1)
    return error.abs().mean() + 2 * error.square().mean()


def train(args: Any, model: AutoencoderTiny) -> None:
    """Train the decoder until the clock runs out."""
    shape, device = SHAPES[args.preset], torch.device(args.device)
    size = args.batch or shape["batch"]
    model.to(device, memory_format=torch.channels_last).train()
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.AdamW(common.decay_groups(model, 0.01), lr=shape["rate"])
    path, step, clock = args.run / "autoencoder.ckpt", 0, common.Clock(args.minutes)
    if state := common.load_checkpoint(path):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, clock = state["step"], common.Clock(args.minutes, state["minutes"])
    stream = common.scenes(args.preset, 2000 + args.seed + step)
    log, saved = common.Log(args.run / "autoencoder.jsonl"), clock.spent
    while clock.progress < 1:
        _, pixels = common.batch(stream, size, args.preset)
        for group in optimizer.param_groups:
            group["lr"] = clock.rate(shape["rate"])
        with torch.autocast(device.type, torch.bfloat16):
            loss = decode_loss(model, pixels.to(device), shape["noise"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 50 == 0:
            log(
                stage="autoencoder",
                step=step,
                samples=step * size,
                minutes=clock.spent,
                loss=loss.item(),
            )
        if clock.spent - saved > 1 or clock.progress == 1:
            common.save_checkpoint(path, model=model.state_dict(), optimizer=optimizer.state_dict(),
                                   step=step, minutes=clock.spent)  # fmt: skip
            saved = clock.spent


@torch.no_grad()
def error(model: AutoencoderTiny, preset: str, count: int = 512) -> float:
    """Mean squared error of encode and decode, pictures in 0..1, on fresh scenes."""
    _, pixels = common.batch(common.scenes(preset, 7), count, preset)
    target = pixels / 127.5 - 1
    drawn = torch.cat(
        [model.decode(model.encode(part).latents).sample for part in target.split(64)]
    )
    return ((drawn.clamp(-1, 1) - target) / 2).square().mean().item()


def main() -> None:
    """Train and save to `RUN/vae`."""
    args = common.options(__doc__, minutes=6).parse_args()
    torch.manual_seed(args.seed)
    model = (
        AutoencoderTiny.from_pretrained(Path(args.init) / "vae").float()
        if args.init
        else build(args.preset)
    )
    train(args, model)
    model.eval().cpu()
    print({"stage": "autoencoder", "mse": round(error(model, args.preset), 6)})
    model.half().save_pretrained(args.run / "vae")


if __name__ == "__main__":
    main()
