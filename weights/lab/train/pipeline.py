"""The trained parts as a pipeline, and what it draws, while they are trained and when they are put together."""

import copy
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, StableDiffusionPipeline
from PIL import Image
from torch import nn
from transformers import CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from clipcond.emoji.captions import caption
from clipcond.emoji.scenes import sample


def scheduler() -> DPMSolverMultistepScheduler:
    """The sampler of the card: DPM-Solver++ 2M on flow sigmas, stochastic: fresh noise at every step mends what went wrong."""
    return DPMSolverMultistepScheduler(
        algorithm_type="sde-dpmsolver++",
        prediction_type="sample",
        use_flow_sigmas=True,
        flow_shift=1.0,
        final_sigmas_type="zero",
        steps_offset=1,  # of no effect on flow sigmas, but Stable Diffusion pipelines warn without it
    )


def text_encoder(clip: CLIPModel) -> CLIPTextModel:
    """The text tower alone, as diffusers wants it."""
    config = CLIPTextConfig(**clip.config.text_config.to_dict())
    encoder = CLIPTextModel(config)
    encoder.load_state_dict(clip.text_model.state_dict())
    return encoder.eval()


def pipeline(run: Path, unet: nn.Module) -> StableDiffusionPipeline:
    """A pipeline of a run's parts around a denoiser (copied, so that training goes on undisturbed)."""
    frozen = copy.deepcopy(unet).cpu().float().eval()
    frozen.set_default_attn_processor()
    return StableDiffusionPipeline(
        vae=AutoencoderTiny.from_pretrained(run / "vae").float().eval(),
        text_encoder=text_encoder(CLIPModel.from_pretrained(run / "clip").float()),
        tokenizer=CLIPTokenizer.from_pretrained(run / "tokenizer"),
        unet=frozen,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sample_grid(pipe: StableDiffusionPipeline, path: Path, *, preset: str, count: int) -> None:
    """Pictures of training captions as one PNG, the captions beside it as text."""
    prompts = [caption(sample(seed, preset), seed) for seed in range(count)]
    pipe.set_progress_bar_config(disable=True)
    images = pipe(prompts, num_inference_steps=20, guidance_scale=4.0,
                  generator=torch.Generator().manual_seed(0)).images  # fmt: skip
    save_grid(images, prompts, path)


def save_grid(images: list[Image.Image], prompts: list[str], path: Path) -> None:
    """Eight pictures a row, those of 32 px enlarged, and PATH.txt with the prompts."""
    columns, cell = 8, 132
    grid = Image.new("RGB", (columns * cell, -(-len(images) // columns) * cell))
    for i, image in enumerate(images):
        tile = image.resize((cell - 4, cell - 4), Image.Resampling.LANCZOS)
        grid.paste(tile, (i % columns * cell, i // columns * cell))
    grid.save(path)
    path.with_suffix(".txt").write_text("\n".join(prompts) + "\n")
