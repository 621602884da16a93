"""Stable Diffusion XL with prompt weights, its refiner if wanted: load, condition, generate. Copy and edit.

python pipelines/sdxl.py "a (red:1.3) ball on [grass]" --out ball.png
python pipelines/sdxl.py "a (red:1.3) ball" --refiner stabilityai/stable-diffusion-xl-refiner-1.0
python pipelines/sdxl.py "a (red:1.3) ball" --tiny          # random parts: only shows that it runs
"""

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from PIL import Image

import clipcond

BASE = "stabilityai/stable-diffusion-xl-base-1.0"


def load(model: str | Path = BASE, kind: type = StableDiffusionXLPipeline):
    """A Stable Diffusion XL folder or hub id; on a GPU in half precision, each part there only while it works."""
    if not torch.cuda.is_available():
        return kind.from_pretrained(model)
    pipe = kind.from_pretrained(model, torch_dtype=torch.float16)
    pipe.enable_model_cpu_offload()
    return pipe


def generate(
    pipe: StableDiffusionXLPipeline,
    prompt: str,
    negative_prompt: str | None = None,
    *,
    style: str | None = None,
    refiner: StableDiffusionXLImg2ImgPipeline | None = None,
    num_images: int = 1,
    num_inference_steps: int = 30,
    guidance_scale: float = 5.0,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; `style`, if given, is what the second text encoder reads.

    The pooled vector comes from the words alone, never from the syntax; picture i starts from seed + i.
    """
    conditioner = clipcond.Conditioner.from_pipeline(pipe)
    conditioning = conditioner(prompt, negative_prompt=negative_prompt, prompt_2=style)
    print(conditioning)  # tokens, weights, windows, and what looks like a mistake

    settings = dict(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
    images = pipe(
        **conditioning.kwargs_for(pipe, num_images_per_prompt=num_images),
        **settings,
        **size,
        generator=[torch.Generator("cpu").manual_seed(seed + i) for i in range(num_images)],
    ).images
    if refiner is None:
        return images

    # the refiner has the second text encoder only: condition for it again, with the same words
    conditioning = clipcond.Conditioner.from_pipeline(refiner)(
        prompt, negative_prompt=negative_prompt
    )
    return [
        refiner(**conditioning.kwargs_for(refiner), **settings, image=image).images[0]
        for image in images
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--negative")
    parser.add_argument("--style", help="a prompt for the second text encoder")
    parser.add_argument("--model", default=BASE, help="a diffusers folder or hub id")
    parser.add_argument("--refiner", help="the refiner's folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        base, refining, size = tiny.sdxl(), tiny.refiner(), {"height": 32, "width": 32}
    else:
        base, size = load(options.model), {}
        refining = options.refiner and load(options.refiner, StableDiffusionXLImg2ImgPipeline)
    image = generate(
        base,
        options.prompt,
        options.negative,
        style=options.style,
        refiner=refining,
        num_inference_steps=options.steps,
        seed=options.seed,
        **size,
    )[0]
    image.save(options.out)
    print(options.out)
