"""The families of films whose prompt Qwen reads alone.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

import torch

from clipcond.families import templates
from clipcond.families.contract import Family, Role
from clipcond.families.inputs import masked, states
from clipcond.families.qwen import QWEN_VL

# what Cosmos 2.5 is told instead of a negative prompt
_NEGATIVE = (
    "The video captures a series of frames showing ugly scenes, static with no motion, motion blur, "
    "over-saturation, shaky footage, low resolution, grainy texture, pixelated images, poorly lit areas, "
    "underexposed and overexposed scenes, poor color balance, washed out colors, choppy sequences, jerky "
    "movements, low frame rate, artifacting, color banding, unnatural transitions, outdated special effects, "
    "fake elements, unconvincing visuals, poorly edited content, jump cuts, visual noise, and flickering. "
    "Overall, the video is of poor quality."
)


def standardized(layer: torch.Tensor) -> torch.Tensor:
    """What Cosmos 2.5 does to each layer's states: less their mean, divided by their standard deviation."""
    return (layer - layer.mean(-1, keepdim=True)) / (layer.std(-1, keepdim=True) + 1e-8)


FILM_FAMILIES: tuple[Family, ...] = (
    Family(
        name="Cosmos 2.5",
        guidance="two calls",
        added_scale=1.0,
        roles=(
            Role(
                slot="text_encoder",
                encoder=QWEN_VL,
                normalize=standardized,
                padding="read",
                template=templates.COSMOS_25,
            ),
        ),
        denoiser_class="CosmosTransformer3DModel",
        width="crossattn_proj_in_channels",
        assemble=states,
        default_negative=_NEGATIVE,
        t5_length=512,
    ),
    Family(
        name="EasyAnimate",
        roles=(
            Role(
                slot="text_encoder",
                encoder="Qwen2VLForConditionalGeneration",
                layer=-2,
                padding="masked",
                side="right",
                length=256,
                template=templates.EASY_ANIMATE,
            ),
        ),
        denoiser_class="EasyAnimateTransformer3DModel",
        width="text_embed_dim",
        assemble=masked,
    ),
)
