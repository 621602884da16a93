"""Sana with prompt weights, schedules and AND: load, condition, generate. Copy and edit.

    python pipelines/sana.py "a (red:1.3) ball on [grass]" --out ball.png
    python pipelines/sana.py "a photo of a [fox:cat:0.4]" --negative "blurry"
    python pipelines/sana.py "a (red:1.3) ball" --tiny                # random parts: only shows that it runs

One language model, Gemma 2, reads the prompt behind a long instruction, whose states are dropped; the negative prompt has none. Both are
put in lower case. The denoiser has 1.6 billion weights, the encoder 2.6: 3 and 5 GB in bfloat16, activations not counted.
"""

import argparse
from pathlib import Path

import torch
from diffusers import SanaPipeline
from PIL import Image

import clipcond

MODEL = "Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers"


def load(model: str | Path = MODEL) -> SanaPipeline:
    """A Sana folder or hub id; on a GPU in bfloat16."""
    if not torch.cuda.is_available():
        return SanaPipeline.from_pretrained(model)
    return SanaPipeline.from_pretrained(model, torch_dtype=torch.bfloat16).to("cuda")


def generate(
    pipe: SanaPipeline,
    prompt: str,
    negative_prompt: str = "",
    *,
    guidance_scale: float = 4.5,
    num_images: int = 1,
    num_inference_steps: int = 20,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i."""
    conditioner = clipcond.Conditioner.from_pipeline(pipe)
    conditioning = conditioner(prompt, negative_prompt=negative_prompt, steps=num_inference_steps)
    print(conditioning)  # tokens, weights, and what looks like a mistake

    with conditioning.attached(pipe):  # what changes over the steps, or is composed
        return pipe(
            **conditioning.kwargs_for(pipe, num_images_per_prompt=num_images),
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            **size,
            use_resolution_binning=not size,  # a size that is asked for is drawn
            generator=[torch.Generator("cpu").manual_seed(seed + i) for i in range(num_images)],
        ).images


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--negative", default="")
    parser.add_argument("--guidance-scale", type=float, default=4.5)
    parser.add_argument("--model", default=MODEL, help="a diffusers folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline, size = tiny.sana(), {"height": 32, "width": 32}
    else:
        pipeline, size = load(options.model), {}
    image = generate(
        pipeline,
        options.prompt,
        options.negative,
        guidance_scale=options.guidance_scale,
        num_inference_steps=options.steps,
        seed=options.seed,
        **size,
    )[0]
    image.save(options.out)
    print(options.out)
