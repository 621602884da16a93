"""Z-Image with prompt weights and schedules: load, condition, generate. Copy and edit.

    python pipelines/z_image.py "a (red:1.3) ball on [grass], a sign that says “hello”" --out ball.png
    python pipelines/z_image.py "a photo of a [fox:cat:0.4]" --model Tongyi-MAI/Z-Image --guidance-scale 4 --steps 50
    python pipelines/z_image.py "a (red:1.3) ball" --tiny             # random parts: only shows that it runs

One language model, Qwen3, reads the prompt as a question of a chat. The Turbo model is distilled: few steps, no guidance, and so no
negative prompt; the full one takes both. In bfloat16 a denoiser of 6 and an encoder of 4 billion weights have 12 and 8 GB: with
model offloading each is on the GPU only while it works.
"""

import argparse
from pathlib import Path

import torch
from diffusers import ZImagePipeline
from PIL import Image

import clipcond

MODEL = "Tongyi-MAI/Z-Image-Turbo"


def load(model: str | Path = MODEL) -> ZImagePipeline:
    """A Z-Image folder or hub id; on a GPU in bfloat16, each part there only while it works."""
    if not torch.cuda.is_available():
        return ZImagePipeline.from_pretrained(model)
    pipe = ZImagePipeline.from_pretrained(model, torch_dtype=torch.bfloat16)
    pipe.enable_model_cpu_offload()
    return pipe


def generate(
    pipe: ZImagePipeline,
    prompt: str,
    negative_prompt: str | None = None,
    *,
    guidance_scale: float = 0.0,
    num_images: int = 1,
    num_inference_steps: int = 9,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i. A negative prompt needs a guidance scale over 0."""
    if negative_prompt and guidance_scale <= 0:
        raise ValueError("a negative prompt acts only with a guidance_scale over 0")
    conditioner = clipcond.Conditioner.from_pipeline(pipe)
    conditioning = conditioner(prompt, negative_prompt=negative_prompt, steps=num_inference_steps)
    print(conditioning)  # tokens, weights, and what looks like a mistake

    with conditioning.attached(pipe):  # what changes over the steps
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
    parser.add_argument("--negative", default=None)
    parser.add_argument("--guidance-scale", type=float, default=0.0)
    parser.add_argument("--model", default=MODEL, help="a diffusers folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline, size = tiny.z_image(), {"height": 32, "width": 32}
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
