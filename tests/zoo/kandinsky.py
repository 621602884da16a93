"""Kandinsky 2.1 and 2.2: a prior of CLIP, a decoder of multilingual CLIP or of the picture alone."""

from functools import partial
from typing import Any

import torch
from diffusers import DDIMScheduler, PriorTransformer, UnCLIPScheduler, UNet2DConditionModel
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

from tests.doubles import t5_tokenizer
from tests.zoo.animal import Animal, Parts, family
from tests.zoo.components import PROJECTED, SIMPLE, image_processor, movq, slot, vision_encoder
from tests.zoo.inputs import call, image, mask, picture


def _prior() -> PriorTransformer:
    prior = PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1
    )
    prior.clip_std = torch.nn.Parameter(torch.ones(prior.clip_std.shape))
    return prior


def _multilingual() -> MultilingualCLIP:
    config = MCLIPConfig(
        transformerDimSize=32, imageDimSize=32, hidden_size=32, intermediate_size=37, num_attention_heads=4,
        num_hidden_layers=1, vocab_size=len(t5_tokenizer()), pad_token_id=0,
    )  # fmt: skip
    return MultilingualCLIP(config)


def _unet(kind: str, channels: int = 4) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        **SIMPLE, in_channels=channels, out_channels=8, addition_embed_type=kind, block_out_channels=(32, 64),
        encoder_hid_dim_type=f"{kind}_proj", attention_head_dim=4, class_embed_type=None,
    )  # fmt: skip


PRIOR: Parts = PROJECTED | dict(
    prior=_prior,
    image_encoder=vision_encoder,
    scheduler=lambda: UnCLIPScheduler(
        variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=10.0
    ),
    image_processor=image_processor,
)


def _decoder(kind: str, channels: int = 4) -> Parts:
    """The decoder's components and, for the combined pipelines, the prior's."""
    own: Parts = dict(
        unet=lambda: _unet(kind, channels),
        movq=movq,
        scheduler=lambda: DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    )  # fmt: skip
    text = slot(1, _multilingual, t5_tokenizer)
    return own | text | {f"prior_{name}": part for name, part in PRIOR.items()}


GIVEN: dict[str, Any] = dict(
    image_embeds=torch.ones(1, 32), negative_image_embeds=torch.zeros(1, 32)
)  # to a decoder alone: what a prior gives
COMBINED: dict[str, Any] = dict(prior_num_inference_steps=2)
_text = partial(call, 32, output="np")
_image = partial(_text, **image())
_inpaint = partial(_text, image=picture(), mask_image=mask())
_prior_call = partial(call, output="pt")

ANIMALS: dict[str, Animal] = {
    **family(
        PRIOR,
        KandinskyPriorPipeline=_prior_call(),
        KandinskyV22PriorPipeline=_prior_call(),
        KandinskyV22PriorEmb2EmbPipeline=_prior_call(**image()),
    ),
    **family(
        _decoder("text_image"),
        KandinskyPipeline=_text(**GIVEN),
        KandinskyImg2ImgPipeline=_image(**GIVEN),
        KandinskyCombinedPipeline=_text(**COMBINED),
        KandinskyImg2ImgCombinedPipeline=_image(**COMBINED),
    ),
    **family(
        _decoder("text_image", 9),
        KandinskyInpaintPipeline=_inpaint(**GIVEN),
        KandinskyInpaintCombinedPipeline=_inpaint(**COMBINED),
    ),
    **family(
        _decoder("image"),
        KandinskyV22CombinedPipeline=_text(**COMBINED),
        KandinskyV22Img2ImgCombinedPipeline=_image(**COMBINED),
    ),
    **family(_decoder("image", 9), KandinskyV22InpaintCombinedPipeline=_inpaint(**COMBINED)),
}
