"""Flux.2 (dev or Klein) with prompt weights: load, condition, generate. Copy and edit.

    python pipelines/flux2.py "a (red:1.3) ball on [grass], a sign that says “hello”" --out ball.png
    python pipelines/flux2.py "a (red:1.3) ball" --model black-forest-labs/FLUX.2-dev --guidance-scale 4 --steps 50
    python pipelines/flux2.py "a (red:1.3) ball" --tiny               # random parts: only shows that it runs

Klein's prompts are read by Qwen3, dev's by Mistral 3; three layers' states go to the denoiser, padding included. Neither takes a negative
prompt as a string; an undistilled Klein with a guidance scale over 1 reads one as embeddings, which this gives. In bfloat16 Klein's
denoiser and encoder of 4 billion weights have 8 GB each, dev's of 32 and 24 billion 64 and 48 GB: with model offloading each is on
the GPU only while it works. For dev on a smaller GPU load the pipeline with a diffusers `PipelineQuantizationConfig`: a quantised
encoder is read as it is.
"""

import argparse
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from PIL import Image

import clipcond

MODEL = "black-forest-labs/FLUX.2-klein-4B"


def load(model: str | Path = MODEL) -> DiffusionPipeline:
    """A Flux.2 folder or hub id, of whatever class it is; on a GPU in bfloat16, each part there only while it works."""
    if not torch.cuda.is_available():
        return DiffusionPipeline.from_pretrained(model)
    pipe = DiffusionPipeline.from_pretrained(model, torch_dtype=torch.bfloat16)
    pipe.enable_model_cpu_offload()
    return pipe


def generate(
    pipe: DiffusionPipeline,
    prompt: str,
    negative_prompt: str | None = None,
    *,
    guidance_scale: float = 1.0,
    num_images: int = 1,
    num_inference_steps: int = 4,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i."""
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
    parser.add_argument("--negative", default=None, help="for an undistilled Klein")
    parser.add_argument("--guidance-scale", type=float, default=1.0)
    parser.add_argument("--model", default=MODEL, help="a diffusers folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline, size = tiny.flux2(), {"height": 32, "width": 32}
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
