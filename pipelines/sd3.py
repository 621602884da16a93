"""Stable Diffusion 3 and 3.5 with prompt weights, with or without T5: load, condition, generate. Copy and edit.

    python pipelines/sd3.py "a (red:1.3) ball on [grass]" --out ball.png
    python pipelines/sd3.py "a (red:1.3) ball" --without-t5     # 9 GB less; T5's part of the states is zeros
    python pipelines/sd3.py "a (red:1.3) ball" --tiny           # random parts: only shows that it runs

Weights act in all three text encoders. T5 reads its padding as in training; a prompt longer than
`max_sequence_length` tokens gets a longer row, it is not cut.
"""

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image

import clipcond

MODEL = "stabilityai/stable-diffusion-3.5-medium"


def load(model: str | Path = MODEL, *, t5: bool = True) -> StableDiffusion3Pipeline:
    """A Stable Diffusion 3 folder or hub id; on a GPU in bfloat16, each part there only while it works."""
    without = {} if t5 else {"text_encoder_3": None, "tokenizer_3": None}
    if not torch.cuda.is_available():
        return StableDiffusion3Pipeline.from_pretrained(model, **without)
    pipe = StableDiffusion3Pipeline.from_pretrained(model, torch_dtype=torch.bfloat16, **without)
    pipe.enable_model_cpu_offload()
    return pipe


def generate(
    pipe: StableDiffusion3Pipeline,
    prompt: str,
    negative_prompt: str | None = None,
    *,
    num_images: int = 1,
    num_inference_steps: int = 28,
    guidance_scale: float = 4.5,
    max_sequence_length: int = 256,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i."""
    conditioner = clipcond.Conditioner.from_pipeline(pipe)
    conditioning = conditioner(
        prompt, negative_prompt=negative_prompt, max_sequence_length=max_sequence_length
    )
    print(conditioning)  # tokens, weights, windows, and what looks like a mistake

    return pipe(
        **conditioning.kwargs_for(pipe, num_images_per_prompt=num_images),
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        **size,
        generator=[torch.Generator("cpu").manual_seed(seed + i) for i in range(num_images)],
    ).images


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--negative")
    parser.add_argument("--model", default=MODEL, help="a diffusers folder or hub id")
    parser.add_argument("--without-t5", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline, size = tiny.sd3(t5=not options.without_t5), {"height": 32, "width": 32}
    else:
        pipeline, size = load(options.model, t5=not options.without_t5), {}
    image = generate(
        pipeline,
        options.prompt,
        options.negative,
        num_inference_steps=options.steps,
        seed=options.seed,
        **size,
    )[0]
    image.save(options.out)
    print(options.out)
