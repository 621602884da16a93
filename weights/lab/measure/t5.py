"""What T5 adds to CLIP: the same denoiser, trained as long on the states of four text encoders, and what it then draws.

    python -m weights.lab.train.tokenizer --preset medium --run runs/t5/plain
    python -m weights.lab.train.clip --plain --preset medium --minutes 30 --run runs/t5/plain
    python -m weights.lab.train.t5 --preset medium --minutes 30 --run runs/t5
    python -m weights.lab.measure.t5 --preset medium --run runs/t5 --encoder clip --seed 0 --minutes 12    # each encoder and seed

- "contrast": CLIP's text tower as the paper trains it, on pictures and captions alone.
- "clip": the shipped one, trained with near misses and heads that name the layout as well.
- "t5": an encoder that never saw a picture.
- "both": the shipped CLIP's states and T5's, one after the other on the token axis, as in Stable Diffusion 3.

The denoiser starts from the shipped one with new cross-attentions, so that it knows how to draw and not yet how to read. Each is asked for
the same held-out prompts from the same noise; the oracle judges. Leaves RUN/ENCODER-SEED.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from tqdm import tqdm
from transformers import AutoTokenizer, CLIPModel, CLIPTokenizer, T5EncoderModel

from clipcond import emoji
from weights.lab import reports
from weights.lab.train import common, denoiser
from weights.lab.train.pipeline import scheduler
from weights.lab.train.reading import Reader, States, TextStates, Windows

ENCODERS = ("contrast", "clip", "t5", "both")
PROMPTS = 50  # of each task
AT_ONCE = 25
Encoder = tuple[Reader, States]


class T5Row:
    """One row of T5's tokens, as long as so many of CLIP's windows."""

    def __init__(self, tokenizer: Any, positions: int) -> None:
        self.tokenizer, self.positions = tokenizer, positions

    def __call__(self, texts: list[str], windows: int) -> torch.Tensor:
        """Ids [batch, windows, positions], which are one row.

        Raises:
            ValueError: a text has more tokens than fit.
        """
        length = windows * self.positions
        ids = self.tokenizer(texts, padding="max_length", max_length=length).input_ids
        if (longest := max(map(len, ids))) > length:
            raise ValueError(f"{longest} tokens in {length} positions")
        return torch.tensor(ids).unflatten(1, (windows, self.positions))


class T5States:
    """Token ids -> T5's states, zeros at the padding."""

    def __init__(self, encoder: T5EncoderModel, device: torch.device, padding: int) -> None:
        self.encoder, self.padding = encoder.to(device).eval(), padding
        self.device = device

    @torch.no_grad()
    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """States [batch, windows x positions, width]."""
        ids = tokens.flatten(1)
        there = ids != self.padding
        with common.autocast(self.device):
            states = self.encoder(ids, attention_mask=there.long()).last_hidden_state
        return states * there[..., None]


def side_by_side(first: Encoder, second: Encoder) -> Encoder:
    """The states of both, one after the other."""

    def read(texts: list[str], windows: int) -> torch.Tensor:
        return torch.stack([first[0](texts, windows), second[0](texts, windows)], dim=1)

    def states(tokens: torch.Tensor) -> torch.Tensor:
        return torch.cat([first[1](tokens[:, 0]), second[1](tokens[:, 1]).to(torch.float32)], dim=1)

    return read, states


def encoder(name: str, args: argparse.Namespace) -> Encoder:
    """One of ENCODERS, by the folders of the run."""
    device = torch.device(args.device)
    if name == "both":
        return side_by_side(encoder("clip", args), encoder("t5", args))
    if name == "t5":
        tokenizer = AutoTokenizer.from_pretrained(args.run / "t5")
        model = T5EncoderModel.from_pretrained(args.run / "t5").float()
        states = T5States(model, device, tokenizer.pad_token_id)
        return T5Row(tokenizer, CLIPTokenizer.from_pretrained(args.model / "clip").model_max_length), states  # fmt: skip
    folder = args.model / "clip" if name == "clip" else args.run / "plain" / "clip"
    clip = CLIPModel.from_pretrained(folder).float()
    return Windows(CLIPTokenizer.from_pretrained(folder)), TextStates(clip, device)


def unread(model: Path, seed: int) -> UNet2DConditionModel:
    """The shipped denoiser with new cross-attentions."""
    unet = UNet2DConditionModel.from_pretrained(model / "unet").float()
    torch.manual_seed(seed)
    for name, module in unet.named_modules():
        if ".attn2." in name and isinstance(module, nn.Linear):
            module.reset_parameters()
    return unet


@torch.no_grad()
def judged(unet: nn.Module, reader: Encoder, args: argparse.Namespace) -> dict[str, list[bool]]:
    """By task: whether each prompt's one picture is right."""
    read, states = reader
    pipe = StableDiffusionPipeline.from_pretrained(
        args.model, unet=unet.float().eval(), scheduler=scheduler()
    ).to(args.device)
    pipe.set_progress_bar_config(disable=True)

    def embedded(texts: list[str], windows: int) -> torch.Tensor:
        return states(read(texts, windows).to(args.device)).float()

    found = {}
    for task, every in tqdm(emoji.tasks(args.preset).items(), desc="tasks"):
        prompts = every[: args.prompts]
        windows = 2 if task == "beyond 77 tokens" else 1
        verdicts = []
        for start in range(0, len(prompts), AT_ONCE):
            some = prompts[start : start + AT_ONCE]
            images = pipe(
                prompt_embeds=embedded(some, windows),
                negative_prompt_embeds=embedded([""] * len(some), windows),
                num_inference_steps=emoji.DEFAULT_STEPS,
                guidance_scale=emoji.DEFAULT_GUIDANCE_SCALE,
                generator=[torch.Generator().manual_seed(start + i) for i in range(len(some))],
            ).images
            verdicts += [
                bool(emoji.verdicts([image], prompt, args.preset)[0])
                for image, prompt in zip(images, some, strict=True)
            ]
        found[task] = verdicts
    return found


def one(args: argparse.Namespace) -> None:
    """Train the denoiser on one encoder's states, and judge it."""
    reader = encoder(args.encoder, args)
    run = args.run / f"{args.encoder}-{args.seed}"
    run.mkdir(parents=True, exist_ok=True)
    StableDiffusionPipeline.from_pretrained(args.model).vae.save_pretrained(run / "vae")
    options = argparse.Namespace(**vars(args) | {"run": run})
    average = denoiser.train(options, unread(args.model, args.seed), *reader)
    report = {
        "encoder": args.encoder,
        "seed": args.seed,
        "minutes": args.minutes,
        "hardware": reports.hardware(args.device),
        "right": judged(average, reader, args),
        "log": [json.loads(line) for line in (run / "denoiser.jsonl").read_text().splitlines()],
    }
    reports.write(report, args.run / f"{args.encoder}-{args.seed}.json")
    print({task: float(np.mean(right)) for task, right in report["right"].items()})


def main() -> None:
    """Train and judge one."""
    parser = common.options(__doc__, minutes=12)
    parser.add_argument("--model", type=Path, default=reports.WEIGHTS / "emoji")
    parser.add_argument("--encoder", choices=ENCODERS, required=True)
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="of each task")
    one(parser.parse_args())


if __name__ == "__main__":
    main()
