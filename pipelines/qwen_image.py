"""Qwen-Image with prompt weights: load, condition, generate. Copy and edit.

    python pipelines/qwen_image.py "a (red:1.3) ball on [grass], a sign that says “hello”" --out ball.png
    python pipelines/qwen_image.py "a (red:1.3) ball" --negative "blurry" --true-cfg-scale 4
    python pipelines/qwen_image.py "a (red:1.3) ball" --tiny          # random parts: only shows that it runs

One language model, Qwen2.5-VL, reads the prompt in a template. Weights act on the states of its words ("comfy", the default, and
"a1111" move them away from or towards the empty prompt's; "attention_bias" weighs how much each word is looked at). A negative prompt
works only together with a true CFG scale over 1, which doubles the time. In bfloat16 the denoiser has 41 GB and the text encoder 17 GB:
with model offloading each is on the GPU only while it works.
"""

import argparse
from pathlib import Path

import torch
from diffusers import QwenImagePipeline
from PIL import Image

import clipcond

MODEL = "Qwen/Qwen-Image"


def load(model: str | Path = MODEL) -> QwenImagePipeline:
    """A Qwen-Image folder or hub id; on a GPU in bfloat16, each part there only while it works."""
    if not torch.cuda.is_available():
        return QwenImagePipeline.from_pretrained(model)
    pipe = QwenImagePipeline.from_pretrained(model, torch_dtype=torch.bfloat16)
    pipe.enable_model_cpu_offload()
    return pipe


def generate(
    pipe: QwenImagePipeline,
    prompt: str,
    negative_prompt: str | None = None,
    *,
    true_cfg_scale: float = 4.0,
    num_images: int = 1,
    num_inference_steps: int = 50,
    seed: int = 0,
    **size: int,
) -> list[Image.Image]:
    """Pictures of one prompt in the a1111 dialect; picture i starts from seed + i. Without a negative prompt nothing guides."""
    conditioner = clipcond.Conditioner.from_pipeline(pipe)
    conditioning = conditioner(prompt, negative_prompt=negative_prompt, steps=num_inference_steps)
    print(conditioning)  # tokens, weights, and what looks like a mistake

    with conditioning.attached(pipe):  # what changes over the steps
        return pipe(
            **conditioning.kwargs_for(pipe, num_images_per_prompt=num_images),
            num_inference_steps=num_inference_steps,
            true_cfg_scale=true_cfg_scale,
            **size,
            generator=[torch.Generator("cpu").manual_seed(seed + i) for i in range(num_images)],
        ).images


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--negative", default=" ", help="a blank, as the model's card has it")
    parser.add_argument("--true-cfg-scale", type=float, default=4.0)
    parser.add_argument("--model", default=MODEL, help="a diffusers folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline, size = tiny.qwen_image(), {"height": 32, "width": 32}
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
