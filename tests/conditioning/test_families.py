"""Families: what is taken for one, and how the rest is refused."""

import pytest
from diffusers import LatentConsistencyModelPipeline, LCMScheduler, StableDiffusionXLPipeline

from clipcond.conditioning.families import FAMILIES, family_of_index, family_of_pipeline
from clipcond.errors import UnsupportedPipelineError
from tests.tiny import clip_tokenizer, tiny_pipeline, tiny_text_encoder

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.6.0",
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def test_an_index_and_its_pipeline_agree():
    assert family_of_index(INDEX) is family_of_pipeline(tiny_pipeline()) is FAMILIES[0]
    assert (
        family_of_index({**INDEX, "tokenizer": ["transformers", "CLIPTokenizerFast"]})
        is FAMILIES[0]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"text_encoder": ["transformers", "T5EncoderModel"]},
        {"text_encoder": [None, None]},
        {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]},
        {"unet": ["diffusers", "UNetMotionModel"]},
        {"unet": [None, None], "transformer": ["diffusers", "SD3Transformer2DModel"]},
    ],
)
def test_another_part_is_another_family(change):
    with pytest.raises(
        UnsupportedPipelineError, match="not supported; supported: Stable Diffusion 1 and 2"
    ):
        family_of_index({**INDEX, **change})


def test_a_subclass_of_a_part_is_that_part():
    pipe = tiny_pipeline()

    class Tuned(type(pipe.text_encoder)):
        pass

    pipe.text_encoder.__class__ = Tuned
    assert family_of_pipeline(pipe) is FAMILIES[0]


def test_stable_diffusion_xl_is_refused_by_name():
    parts = tiny_pipeline().components
    pipe = StableDiffusionXLPipeline(
        vae=parts["vae"],
        unet=parts["unet"],
        scheduler=parts["scheduler"],
        text_encoder=parts["text_encoder"],
        tokenizer=parts["tokenizer"],
        text_encoder_2=tiny_text_encoder(),
        tokenizer_2=clip_tokenizer(),
        add_watermarker=False,
    )
    with pytest.raises(
        UnsupportedPipelineError,
        match=r"StableDiffusionXLPipeline \(text_encoder: .*text_encoder_2: ",
    ):
        family_of_pipeline(pipe)


def test_a_call_without_negative_embeddings_is_refused():
    parts = {**tiny_pipeline().components, "scheduler": LCMScheduler()}
    pipe = LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)
    with pytest.raises(UnsupportedPipelineError, match="takes no negative_prompt_embeds"):
        family_of_pipeline(pipe)
