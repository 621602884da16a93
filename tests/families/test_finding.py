"""Families: what is taken for one, and how the rest is refused."""

import diffusers
import pytest
import torch
import transformers

from clipcond import Conditioner
from clipcond.errors import UnsupportedPipelineError
from clipcond.families.finding import family_of_index, family_of_pipeline
from clipcond.families.table import FAMILIES
from tests import doubles as tiny_families
from tests.tiny import tiny_pipeline, tiny_text_encoder

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
        {"text_encoder": ["transformers", "BertModel"]},
        {"text_encoder": [None, None]},
        {"text_encoder_2": ["transformers", "CLIPTextModel"]},
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


@pytest.mark.parametrize(
    ("builder", "name"),
    [
        ("sd1", "Stable Diffusion 1 and 2"),
        ("sd2", "Stable Diffusion 1 and 2"),
        ("lcm", "Stable Diffusion 1 and 2"),
        ("sdxl", "Stable Diffusion XL"),
        ("refiner", "Stable Diffusion XL refiner"),
        ("sd3", "Stable Diffusion 3"),
        ("sd3_without_t5", "Stable Diffusion 3"),
        ("flux", "Flux.1"),
    ],
)
def test_every_family_is_told_by_its_parts_and_found_again_in_its_folder(builder, name, tmp_path):
    pipe = tiny_families.BUILDERS[builder]()
    assert family_of_pipeline(pipe).name == name
    pipe.save_pretrained(tmp_path)
    ours = Conditioner.from_pretrained(tmp_path)
    theirs = Conditioner.from_pipeline(pipe)
    assert (ours.family, ours.width, ours.zeros) == (theirs.family, theirs.width, theirs.zeros)
    prompt = "a (red:1.3) cat"
    assert torch.equal(ours(prompt).prompt_embeds, theirs(prompt).prompt_embeds)


@pytest.mark.parametrize("kind", ["BertModel", "Qwen2Model", "Module", "RobertaModel", "PlainText"])
def test_a_refusal_names_the_encoders_own_class(kind):
    pipe = tiny_families.sd1()
    base = torch.nn.Module if kind in ("Module", "PlainText") else getattr(transformers, kind)
    own = base if kind == base.__name__ else type(kind, (base,), {})
    pipe.text_encoder = own.__new__(own)
    with pytest.raises(
        UnsupportedPipelineError, match=rf"Pipeline \(text_encoder: {kind}\) is not supported"
    ):
        family_of_pipeline(pipe)


@pytest.mark.filterwarnings("ignore")
def test_a_deprecated_class_is_of_the_family_that_its_parts_and_call_are_of():
    panorama = diffusers.StableDiffusionPanoramaPipeline
    assert "deprecated" in panorama.__module__
    parts = tiny_families.sd1().components
    pipe = panorama(**parts, requires_safety_checker=False)
    assert Conditioner.from_pipeline(pipe).family is FAMILIES[0]
    with pytest.raises(UnsupportedPipelineError, match=r"TextToVideoSDPipeline .*not supported"):
        family_of_index(
            INDEX
            | {
                "_class_name": "TextToVideoSDPipeline",
                "unet": ["diffusers", "UNet3DConditionModel"],
            }
        )


def test_another_kind_of_pipeline_is_refused_by_name():
    pipe = tiny_families.sdxl()
    pipe.text_encoder_2 = tiny_text_encoder()  # unprojected: no family has two of these
    with pytest.raises(
        UnsupportedPipelineError,
        match=r"StableDiffusionXLPipeline \(text_encoder: .*text_encoder_2: .*supported: ",
    ):
        family_of_pipeline(pipe)
    with pytest.raises(UnsupportedPipelineError, match="is not a diffusers pipeline"):
        family_of_pipeline(object())
