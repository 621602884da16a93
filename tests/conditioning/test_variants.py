"""Weighted prompts of several windows with shorter negatives, drawn by real tiny pipelines of every family."""

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    FluxControlNetModel,
    FluxControlNetPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    SD3ControlNetModel,
    StableDiffusion3ControlNetPipeline,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
)
from PIL import Image

from clipcond import Conditioner
from clipcond.errors import UnsupportedPipelineError
from tests import doubles as tiny_families
from tests.zoo import ZOO

LONG = "a (red:1.3) cat on a [blue] sky, " * 12
SIZES = {"flux": 16}
PICTURE = Image.fromarray((np.random.default_rng(0).random((32, 32, 3)) * 255).astype("uint8"))
ONES = Image.new("L", (32, 32), 255)

# variant -> (base family, class, extra components, call arguments)
VARIANTS = {
    "sd1 img2img": ("sd1", StableDiffusionImg2ImgPipeline, {"image": PICTURE}),
    "sd1 inpaint": ("sd1", StableDiffusionInpaintPipeline, {"image": PICTURE, "mask_image": ONES}),
    "sd2 img2img": ("sd2", StableDiffusionImg2ImgPipeline, {"image": PICTURE}),
    "sdxl img2img": ("sdxl", StableDiffusionXLImg2ImgPipeline, {"image": PICTURE}),
    "sdxl inpaint": (
        "sdxl",
        StableDiffusionXLInpaintPipeline,
        {"image": PICTURE, "mask_image": ONES},
    ),
    "sd3 img2img": ("sd3", StableDiffusion3Img2ImgPipeline, {"image": PICTURE}),
    "flux img2img": ("flux", FluxImg2ImgPipeline, {"image": PICTURE}),
    "flux inpaint": ("flux", FluxInpaintPipeline, {"image": PICTURE, "mask_image": ONES}),
}


def draw(pipe, family, conditioning, count=1, **options):
    if "strength" not in options and "image" not in options:
        side = SIZES.get(family, 32)
        options |= {"height": side, "width": side}
    if family == "flux":
        options |= {"height": 16, "width": 16, "true_cfg_scale": 2.0}
    if family == "refiner":
        options |= {"image": PICTURE, "num_inference_steps": 4}
        options.pop("height", None), options.pop("width", None)
    options = {"num_inference_steps": 2, "output_type": "np", **options}
    kwargs = conditioning.kwargs_for(pipe, num_images_per_prompt=count)
    images = pipe(**kwargs, **options, generator=torch.Generator().manual_seed(0)).images
    assert np.isfinite(images).all()
    return images


@pytest.mark.pitfall(8, 9)
@pytest.mark.parametrize("family", [f for f in tiny_families.BUILDERS if f != "lcm"])
def test_a_long_weighted_prompt_with_a_shorter_negative_one(family):
    pipe = tiny_families.BUILDERS[family]()
    conditioner = Conditioner.from_pipeline(pipe)
    conditioning = conditioner([LONG, "a dog"], negative_prompt="bad")
    assert conditioning.prompt_embeds.shape == conditioning.negative_prompt_embeds.shape
    images = draw(pipe, family, conditioning, count=2)
    assert len(images) == 4
    weights_off = Conditioner.from_pipeline(pipe, weighting="none")
    plain = draw(pipe, family, weights_off([LONG, "a dog"], negative_prompt="bad"), count=2)
    assert not np.array_equal(images[0], plain[0])  # weighted
    np.testing.assert_allclose(images[2:], plain[2:], atol=1e-4)  # nothing to weigh


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_a_family(name):
    family, variant, options = VARIANTS[name]
    base = tiny_families.BUILDERS[family]()
    pipe = tiny_families._quiet(variant.from_pipe(base))
    conditioning = Conditioner.from_pipeline(pipe)(LONG, negative_prompt="bad")
    assert len(draw(pipe, family, conditioning, strength=0.9, **options)) == 1
    assert Conditioner.from_pipeline(base)("a").family == conditioning.family


def controlnet(family, base):
    torch.manual_seed(0)
    match family:
        case "sd1" | "sdxl":
            net = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(16, 32))
            classes = {
                "sd1": StableDiffusionControlNetPipeline,
                "sdxl": StableDiffusionXLControlNetPipeline,
            }
            return classes[family], net.eval()
        case "sd3":
            net = SD3ControlNetModel.from_transformer(
                base.transformer, num_layers=1, num_extra_conditioning_channels=0
            )
            return StableDiffusion3ControlNetPipeline, net.eval()
    config = {**base.transformer.config, "num_layers": 1, "num_single_layers": 0}
    return FluxControlNetPipeline, FluxControlNetModel.from_config(config).eval()


@pytest.mark.filterwarnings("ignore:.FluxPosEmbed:FutureWarning")  # diffusers' own ControlNet
@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
def test_controlnets(family):
    base = tiny_families.BUILDERS[family]()
    variant, net = controlnet(family, base)
    pipe = tiny_families._quiet(variant.from_pipe(base, controlnet=net))
    conditioning = Conditioner.from_pipeline(pipe)(LONG, negative_prompt="bad")
    name = "image" if family in ("sd1", "sdxl") else "control_image"
    side = SIZES.get(family, 32)
    options = {name: PICTURE.resize((side, side)), "height": side, "width": side}
    assert len(draw(pipe, family, conditioning, count=2, **options)) == 2


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_controlnet_picture_a_prompt_is_repeated_as_its_prompt_is(family):
    base = tiny_families.BUILDERS[family]()
    variant, net = controlnet(family, base)
    pipe = tiny_families._quiet(variant.from_pipe(base, controlnet=net))
    side = SIZES.get(family, 32)
    pictures = [PICTURE.resize((side, side)), PICTURE.resize((side, side)).rotate(90)]
    prompts, options = (
        ["a cat", "a dog"],
        dict(height=side, width=side, num_inference_steps=2, output_type="np"),
    )
    conditioning = Conditioner.from_pipeline(pipe)(prompts, negative_prompt="bad")
    repeated = [picture for picture in pictures for _ in range(2)]
    ours = pipe(
        **conditioning.kwargs_for(pipe, num_images_per_prompt=2),
        image=repeated,
        generator=torch.Generator().manual_seed(0),
        **options,
    ).images
    theirs = pipe(
        prompts,
        negative_prompt=["bad", "bad"],
        image=pictures,
        num_images_per_prompt=2,
        generator=torch.Generator().manual_seed(0),
        **options,
    ).images
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_latent_consistency_models_take_no_negative_prompt():
    pipe = tiny_families.lcm()
    conditioner = Conditioner.from_pipeline(pipe)
    kwargs = conditioner(LONG).kwargs_for(pipe)
    assert set(kwargs) == {"prompt_embeds"}
    images = pipe(
        **kwargs,
        num_inference_steps=2,
        original_inference_steps=50,
        height=32,
        width=32,
        output_type="np",
    ).images
    assert np.isfinite(images).all()
    with pytest.raises(UnsupportedPipelineError, match="takes no negative_prompt_embeds"):
        conditioner("a cat", negative_prompt="bad").kwargs_for(pipe)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
def test_a_pipeline_without_its_text_encoders(family):
    pipe = tiny_families.BUILDERS[family]()
    conditioning = Conditioner.from_pipeline(pipe)("a (red:1.2) cat", negative_prompt="bad")
    before = draw(pipe, family, conditioning)
    slots = [name for name in pipe.components if name.startswith(("text_encoder", "tokenizer"))]
    for name in slots:
        setattr(pipe, name, None)
    assert np.array_equal(draw(pipe, family, conditioning), before)


@pytest.mark.filterwarnings("ignore")
def test_several_edits_are_one_call():
    entry = ZOO["LEditsPPPipelineStableDiffusion"]
    pipe = entry.build()
    condition = Conditioner.from_pipeline(pipe)
    edits = ["a cat", "a (red:1.0) dog"]
    with torch.no_grad():
        torch.manual_seed(0)
        ours = pipe(**condition(edits).kwargs_for(pipe), **entry.call())[0]
        torch.manual_seed(0)
        theirs = entry.build()(editing_prompt=["a cat", "a red dog"], **entry.call())[0]
    assert torch.equal(ours, theirs)
    for made, count in (
        (condition(edits, negative_prompt="bad"), 1),
        (condition(["a cat, " * 40, "a dog"]), 1),
        (condition("a cat"), 2),
    ):
        with pytest.raises(UnsupportedPipelineError, match="one picture with all its edits"):
            made.kwargs_for(pipe, num_images_per_prompt=count)
