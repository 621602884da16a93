"""Kandinsky 2.1 and 2.2: a prior of CLIP, a decoder of multilingual CLIP or of the picture alone."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDIMScheduler, PriorTransformer, UnCLIPScheduler, UNet2DConditionModel
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

from pipelines.tiny import clip_tokenizer, projected, t5_tokenizer
from tests.zoo.animal import Animal, Parts, animal
from tests.zoo.components import image_processor, movq, vision_encoder
from tests.zoo.inputs import mask, picture, steps


def _prior() -> PriorTransformer:
    prior = PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1
    )
    prior.clip_std = torch.nn.Parameter(torch.ones(prior.clip_std.shape))
    return prior


def _prior_noise() -> UnCLIPScheduler:
    return UnCLIPScheduler(
        variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=10.0
    )


def _multilingual() -> MultilingualCLIP:
    config = MCLIPConfig(
        transformerDimSize=32,
        imageDimSize=32,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=1,
        vocab_size=len(t5_tokenizer()),
        pad_token_id=0,
    )
    return MultilingualCLIP(config)


def _unet(kind: str, channels: int = 4) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=channels,
        out_channels=8,
        addition_embed_type=kind,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64),
        layers_per_block=1,
        encoder_hid_dim=32,
        encoder_hid_dim_type=f"{kind}_proj",
        cross_attention_dim=32,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
        class_embed_type=None,
    )


def _noise() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


PRIOR: Parts = dict(
    prior=_prior,
    image_encoder=vision_encoder,
    text_encoder=lambda: projected(1),
    tokenizer=clip_tokenizer,
    scheduler=_prior_noise,
    image_processor=image_processor,
)


def _decoder(kind: str, channels: int = 4) -> Parts:
    """The decoder's components and, for the combined pipelines, the prior's."""
    own: Parts = dict(unet=lambda: _unet(kind, channels), movq=movq, scheduler=_noise)
    text: Parts = dict(text_encoder=_multilingual, tokenizer=t5_tokenizer)
    return own | text | {f"prior_{name}": part for name, part in PRIOR.items()}


FIRST = _decoder("text_image")
FIRST_MASKED = _decoder("text_image", 9)
SECOND = _decoder("image")
SECOND_MASKED = _decoder("image", 9)


def _prior_call(**more: Any) -> dict[str, Any]:
    return steps(output="pt", **more)


def _text(**more: Any) -> dict[str, Any]:
    return steps(output="np", height=32, width=32, **more)


def _image(**more: Any) -> dict[str, Any]:
    return _text(image=picture(), strength=0.9, **more)


def _inpaint(**more: Any) -> dict[str, Any]:
    return _text(image=picture(), mask_image=mask(), **more)


def _given(call: Callable[..., dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """`call` of a decoder alone, with the picture embeddings that a prior gives."""
    return lambda: call(image_embeds=torch.ones(1, 32), negative_image_embeds=torch.zeros(1, 32))


def _combined(call: Callable[..., dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    return lambda: call(prior_num_inference_steps=2)


ANIMALS: dict[str, Animal] = dict(
    [
        animal("KandinskyPriorPipeline", PRIOR, _prior_call),
        animal("KandinskyPipeline", FIRST, _given(_text)),
        animal("KandinskyImg2ImgPipeline", FIRST, _given(_image)),
        animal("KandinskyInpaintPipeline", FIRST_MASKED, _given(_inpaint)),
        animal("KandinskyCombinedPipeline", FIRST, _combined(_text)),
        animal("KandinskyImg2ImgCombinedPipeline", FIRST, _combined(_image)),
        animal("KandinskyInpaintCombinedPipeline", FIRST_MASKED, _combined(_inpaint)),
        animal("KandinskyV22PriorPipeline", PRIOR, _prior_call),
        animal(
            "KandinskyV22PriorEmb2EmbPipeline",
            PRIOR,
            lambda: dict(
                image=picture(),
                strength=0.9,
                num_inference_steps=2,
                generator=torch.Generator().manual_seed(0),
                output_type="pt",
            ),
        ),
        animal("KandinskyV22CombinedPipeline", SECOND, _combined(_text)),
        animal("KandinskyV22Img2ImgCombinedPipeline", SECOND, _combined(_image)),
        animal("KandinskyV22InpaintCombinedPipeline", SECOND_MASKED, _combined(_inpaint)),
    ]
)
