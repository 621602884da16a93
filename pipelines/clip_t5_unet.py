"""A Stable Diffusion UNet that reads CLIP's and T5's tokens one after the other: load, condition, generate. Copy and edit.

    python pipelines/clip_t5_unet.py "a (red:1.3) ball" --tiny                 # random parts: only shows that it runs
    python pipelines/clip_t5_unet.py "a (red:1.3) ball" --model SD1 --t5 T5    # untrained projections, see below

Each encoder's tokens go through a linear layer of their own to the UNet's cross-attention width, and are joined on the
token axis. The projections begin as the identity for CLIP and at zero for T5, so
that before any training the pictures are about those of CLIP alone; `projections` says what there is to train.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import nn
from transformers import AutoTokenizer, CLIPTextModel, T5EncoderModel

import clipcond


class ProjectedCLIP(CLIPTextModel):
    """CLIP's text tower whose states come out as wide as the UNet reads them."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width = getattr(config, "states_width", config.hidden_size)
        self.states_projection = nn.Linear(config.hidden_size, width, bias=False)
        if width == config.hidden_size:
            nn.init.eye_(self.states_projection.weight)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As CLIPTextModel's; `last_hidden_state` is [rows, tokens, states_width]."""
        output = super().forward(*args, **kwargs)
        output.last_hidden_state = self.states_projection(output.last_hidden_state)
        return output


class ProjectedT5(T5EncoderModel):
    """T5's encoder whose states come out as wide as the UNet reads them."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width = getattr(config, "states_width", config.d_model)
        self.states_projection = nn.Linear(config.d_model, width, bias=False)
        nn.init.zeros_(self.states_projection.weight)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As T5EncoderModel's; `last_hidden_state` is [rows, tokens, states_width]."""
        output = super().forward(*args, **kwargs)
        output.last_hidden_state = self.states_projection(output.last_hidden_state)
        return output


class ClipT5UNetPipeline(StableDiffusionPipeline):
    """StableDiffusionPipeline with a second text encoder. It takes `prompt_embeds`; clipcond makes them."""

    def __init__(  # noqa: PLR0917 as diffusers has it
        self,
        vae: Any,
        text_encoder: ProjectedCLIP,
        tokenizer: Any,
        text_encoder_2: ProjectedT5,
        tokenizer_2: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any = None,
        feature_extractor: Any = None,
        image_encoder: Any = None,
        requires_safety_checker: bool = False,  # noqa: FBT001, FBT002 diffusers passes it by name
    ) -> None:
        super().__init__(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
            image_encoder=image_encoder,
            requires_safety_checker=requires_safety_checker,
        )
        self.register_modules(text_encoder_2=text_encoder_2, tokenizer_2=tokenizer_2)


def build(
    pipe: StableDiffusionPipeline, t5: T5EncoderModel, t5_tokenizer: Any
) -> ClipT5UNetPipeline:
    """A Stable Diffusion 1 or 2 pipeline and a T5 put together, sharing their weights."""
    width = pipe.unet.config.cross_attention_dim
    parts = dict(pipe.components)
    encoders = []
    for kind, module in ((ProjectedCLIP, parts.pop("text_encoder")), (ProjectedT5, t5)):
        module.config.states_width = width
        projected = kind(module.config)
        # the new layer is all that the old weights lack
        projected.load_state_dict(module.state_dict(), strict=False)
        encoders.append(projected.to(module.dtype).eval())
    return ClipT5UNetPipeline(
        text_encoder=encoders[0], text_encoder_2=encoders[1], tokenizer_2=t5_tokenizer, **parts
    )


def projections(pipe: ClipT5UNetPipeline) -> list[nn.Parameter]:
    """What there is to train."""
    encoders = (pipe.text_encoder, pipe.text_encoder_2)
    return [p for encoder in encoders for p in encoder.states_projection.parameters()]


def load(model: str | Path, t5: str | Path) -> ClipT5UNetPipeline:
    """From a Stable Diffusion folder or hub id and a T5's, on the GPU in half precision if there is one."""
    pipe = StableDiffusionPipeline.from_pretrained(model)
    pipe = build(pipe, T5EncoderModel.from_pretrained(t5), AutoTokenizer.from_pretrained(t5))
    return pipe.to("cuda", torch.bfloat16) if torch.cuda.is_available() else pipe


def generate(
    pipe: ClipT5UNetPipeline,
    prompt: str,
    negative_prompt: str = "",
    *,
    prompt_2: str | None = None,
    num_images: int = 1,
    num_inference_steps: int = 20,
    guidance_scale: float = 5.0,
    seed: int = 0,
) -> list[Image.Image]:
    """Pictures of one prompt; T5 reads `prompt_2` where that is given. Picture i starts from seed + i."""
    conditioner = clipcond.Conditioner.from_pipeline(pipe, weighting="comfy")
    conditioning = conditioner(prompt, prompt_2=prompt_2, negative_prompt=negative_prompt)
    print(conditioning)  # tokens, weights, windows of both encoders

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
    parser.add_argument("--model", help="a Stable Diffusion folder or hub id")
    parser.add_argument("--t5", help="a T5 encoder's folder or hub id")
    parser.add_argument("--tiny", action="store_true", help="random parts, no download")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out.png"))
    options = parser.parse_args()

    if options.tiny:
        import tiny

        pipeline = build(tiny.sd1(), tiny.t5_encoder(24), tiny.t5_tokenizer())
    elif options.model and options.t5:
        pipeline = load(options.model, options.t5)
    else:
        parser.error("name --model and --t5, or take --tiny")
    image = generate(
        pipeline,
        options.prompt,
        options.negative,
        num_inference_steps=options.steps,
        seed=options.seed,
    )[0]
    image.save(options.out)
    print(options.out)
