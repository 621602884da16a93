"""Stage 5: put the trained parts together as one diffusers folder.

    python -m weights.lab.train.assemble --run runs/small --out weights/emoji --judge weights/judge

Until the denoiser has finished, its last checkpoint's average is used, so an early model can be tried.
"""

import shutil
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPModel

from weights.lab import reports
from weights.lab.train import common
from weights.lab.train.denoiser import build
from weights.lab.train.pipeline import pipeline


def trained_unet(run: Path, preset: str) -> UNet2DConditionModel:
    """The finished denoiser, or the average of the last checkpoint."""
    if (run / "unet").exists():
        return UNet2DConditionModel.from_pretrained(run / "unet").float()
    state = torch.load(run / "denoiser.ckpt", weights_only=True)
    clip = CLIPModel.from_pretrained(run / "clip")
    unet = build(preset, clip.config.text_config.hidden_size)
    unet.load_state_dict(state["average"])
    return unet


def main() -> None:
    """Write the folder (and the judge's, if asked)."""
    parser = reports.parser(__doc__, "preset", preset="small")
    parser.add_argument("--run", type=Path, default=Path("runs/small"))
    parser.add_argument("--out", type=Path, default=Path("weights/emoji"))
    parser.add_argument("--judge", type=Path, help="where the judge goes")
    args = parser.parse_args()
    pipe = pipeline(args.run, trained_unet(args.run, args.preset))
    for part in (pipe.unet, pipe.vae):
        part.register_to_config(_name_or_path="")  # else where the run was on this machine
    pipe.to(dtype=torch.float16).save_pretrained(args.out)
    common.save_half(pipe.text_encoder, args.out / "text_encoder")
    shutil.copytree(args.run / "clip", args.out / "clip", dirs_exist_ok=True)
    if args.judge:
        shutil.copytree(args.run / "judge", args.judge, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
