"""Stable Diffusion 1.5 (and any model of its kind) with prompt weights: load, condition, generate. Copy and edit.

    python pipelines/sd15.py "a red heart to the left of a (fox:1.3)" --out fox.png
    python pipelines/sd15.py "a (red:1.3) ball" --model path/or/hub-id
    python pipelines/sd15.py "a (red:1.3) ball" --tiny          # random parts: only shows that it runs

The default model is the small one that ships with clipcond: 32 x 32 pictures, no download, no GPU.
"""

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

import clipcond
from clipcond.resources import model_folder


def load(model: str | Path = "emoji") -> StableDiffusionPipeline:
    """A Stable Diffusion 1.5 folder or hub id, on the GPU in half precision if there is one."""
    pipe = StableDiffusionPipeline.from_pretrained(
        model_folder("emoji") if model == "emoji" else model
    )
    return pipe.to("cuda", torch.float16) if torch.cuda.is_available() else pipe


def generate(
    pipe: StableDiffusionPipeline,
    prompt: str,
    negative_prompt: str = "",
    *,
    num_images: int = 1,
    num_inference_steps: int = 20,
    guidance_scale: float = 5.0,
    seed: int = 0,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i."""
    conditioner = clipcond.Conditioner.from_pipeline(pipe, weighting="comfy")
    conditioning = conditioner(prompt, negative_prompt=negative_prompt)
    print(conditioning)  # tokens, weights, windows, and what looks like a mistake

    generators = [torch.Generator("cpu").manual_seed(seed + i) for i in range(num_images)]
    return pipe(
        **conditioning.kwargs_for(pipe, num_images_per_prompt=num_images),
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        generator=generators,
    ).images


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--negative", default="")
    parser.add_argument("--model", default="emoji", help="a diffusers folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline = tiny.sd1()
    else:
        pipeline = load(options.model)
    image = generate(
        pipeline,
        options.prompt,
        options.negative,
        num_inference_steps=options.steps,
        seed=options.seed,
    )[0]
    image.save(options.out)
    print(options.out)
