"""Flux.1 with prompt weights: load, condition, generate. Copy and edit.

    python pipelines/flux.py "a (red:1.3) ball on [grass]" --out ball.png
    python pipelines/flux.py "a (red:1.3) ball" --negative "blurry" --true-cfg-scale 2
    python pipelines/flux.py "a (red:1.3) ball" --tiny          # random parts: only shows that it runs

Flux reads T5's states, and one pooled vector of CLIP's. Weights act on the former; with `pooled="weighted"` and a mode
that masks ("compel", "down_weight", "attention_bias") on the latter too. A negative prompt works only together with a
true CFG scale over 1, which doubles the time.
"""

import argparse
from pathlib import Path

import torch
from diffusers import FluxPipeline
from PIL import Image

import clipcond

MODEL = "black-forest-labs/FLUX.1-dev"


def load(model: str | Path = MODEL) -> FluxPipeline:
    """A Flux.1 folder or hub id; on a GPU in bfloat16, each part there only while it works."""
    if not torch.cuda.is_available():
        return FluxPipeline.from_pretrained(model)
    pipe = FluxPipeline.from_pretrained(model, torch_dtype=torch.bfloat16)
    pipe.enable_model_cpu_offload()
    return pipe


def generate(
    pipe: FluxPipeline,
    prompt: str,
    negative_prompt: str | None = None,
    *,
    true_cfg_scale: float = 1.0,
    num_images: int = 1,
    num_inference_steps: int = 28,
    guidance_scale: float = 3.5,
    max_sequence_length: int = 512,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i."""
    if negative_prompt is not None and true_cfg_scale <= 1:
        raise ValueError("Flux reads a negative prompt only with true_cfg_scale over 1")
    conditioner = clipcond.Conditioner.from_pipeline(pipe)
    conditioning = conditioner(
        prompt, negative_prompt=negative_prompt, max_sequence_length=max_sequence_length
    )
    print(conditioning)  # tokens, weights, windows, and what looks like a mistake

    return pipe(
        **conditioning.kwargs_for(pipe, num_images_per_prompt=num_images),
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        true_cfg_scale=true_cfg_scale,
        **size,
        generator=[torch.Generator("cpu").manual_seed(seed + i) for i in range(num_images)],
    ).images


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--negative")
    parser.add_argument("--true-cfg-scale", type=float, default=1.0)
    parser.add_argument("--model", default=MODEL, help="a diffusers folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline, size = tiny.flux(), {"height": 16, "width": 16}
    else:
        pipeline, size = load(options.model), {}
    image = generate(
        pipeline,
        options.prompt,
        options.negative,
        true_cfg_scale=options.true_cfg_scale,
        num_inference_steps=options.steps,
        seed=options.seed,
        **size,
    )[0]
    image.save(options.out)
    print(options.out)
