"""AND and its kin in pipelines that draw, against predictions composed by hand."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from diffusers import MultiControlNetModel

from clipcond import Conditioner
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from tests.hooks.drawing import (
    attached,
    case,
    conditioned,
    distance,
    draw,
    recorded,
    replaced,
    says,
)

NEGATIVE = "a dog"
SD1 = case("sd1")
CONTROLLED = case("StableDiffusionControlNetPipeline")
CLOSE = 1e-4  # another number of rows changes last bits
pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def composed(pipe, terms):
    """Meanwhile the denoiser itself gives u + sum w (e - u) in the place of what it predicts for the prompt.

    Args:
        pipe: guides in one call, negative rows first, or in two, the positive one first.
        terms: a weight, and what a plain run of one picture with that prompt read.
    """
    module = getattr(pipe, "unet", None) or pipe.transformer
    calls = 0

    def predict(args, kwargs, texts):
        return module.forward(*args, **replaced(kwargs, texts))[0]

    def compose(_, args, kwargs, output):
        nonlocal calls
        number, calls = calls, calls + 1
        reads = [(weight, run[number]) for weight, run in terms]
        if reads[0][1].rows == 2:
            both = [(weight, predict(args, kwargs, read.texts)) for weight, read in reads]
            u = output[0][:1]
            return (torch.cat([u, u + sum(w * (e[1:] - u) for w, e in both)]),)
        if number % 2:
            return None
        u = predict(args, kwargs, terms[0][1][number + 1].texts)
        each = [(weight, predict(args, kwargs, read.texts)) for weight, read in reads]
        return (u + sum(w * (e - u) for w, e in each),)

    handle = module.register_forward_hook(compose, with_kwargs=True)
    yield
    handle.remove()


@pytest.mark.parametrize(
    "name",
    [
        "sd1",
        "flux",
        "WanPipeline",
        pytest.param("ChromaPipeline", marks=pytest.mark.slow),
        pytest.param("sd3", marks=pytest.mark.slow),
        pytest.param("sdxl", marks=pytest.mark.slow),
        pytest.param("HiDreamImagePipeline", marks=pytest.mark.slow),
        pytest.param("PixArtSigmaPipeline", marks=pytest.mark.slow),
    ],
)
def test_it_draws_what_predictions_composed_by_hand_draw(name):
    made = case(name)
    pipe = made.build()
    text = "a photo of a cat AND a fox :0.7 AND a ball :-0.3"
    conditioning = conditioned(pipe, made, text, NEGATIVE)
    terms = []
    for weight, row in ((1.0, 0), (0.7, 1), (-0.3, 2)):
        with recorded(pipe) as calls:
            draw(pipe, made.call(), **says(conditioning, row).kwargs_for(pipe))
        terms.append((weight, calls))
    with composed(pipe, terms):
        by_hand = draw(pipe, made.call(), **says(conditioning, 0).kwargs_for(pipe))
    drawn = attached(pipe, made, conditioning)
    assert distance(drawn, by_hand) < CLOSE
    assert distance(drawn, draw(pipe, made.call(), **says(conditioning, 0).kwargs_for(pipe))) > 1e-3  # fmt: skip


@pytest.mark.parametrize(
    "text", ["a cat :0.5 AND a cat :0.5", "a cat AND a fox :0", "a cat AND a fox :0.3 AND a fox :-0.3"]
)  # fmt: skip
@pytest.mark.parametrize(
    "name",
    [
        "sd1",
        "WanPipeline",
        pytest.param("StableDiffusionControlNetPipeline", marks=pytest.mark.slow),
        pytest.param("sdxl", marks=pytest.mark.slow),
        pytest.param("HunyuanVideoPipeline", marks=pytest.mark.slow),
        pytest.param("AnimateDiffControlNetPipeline", marks=pytest.mark.slow),
        pytest.param("WanVACEPipeline", marks=pytest.mark.slow),
    ],
)
def test_what_adds_up_to_a_prompt_draws_it(name, text):
    made = case(name)
    pipe = made.build()
    conditioning = conditioned(pipe, made, text, NEGATIVE)
    plain = draw(pipe, made.call(), **says(conditioning, 0).kwargs_for(pipe))
    assert distance(attached(pipe, made, conditioning), plain) < CLOSE


def test_a_control_net_of_a_model_that_guides_in_two_calls():
    made = case("FluxControlNetPipeline")
    pipe = made.build()
    conditioning = conditioned(pipe, made, "a cat :0.5 AND a cat :0.5", NEGATIVE)
    call = made.call() | {"true_cfg_scale": 3.0}
    plain = draw(pipe, call, **says(conditioning, 0).kwargs_for(pipe))
    assert distance(attached(pipe, made, conditioning, true_cfg_scale=3.0), plain) < CLOSE
    assert distance(draw(pipe, made.call(), **says(conditioning, 0).kwargs_for(pipe)), plain) > CLOSE  # fmt: skip


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_each_part_is_steered_by_what_a_control_net_says_of_it(several):
    pipe = CONTROLLED.build()
    call = CONTROLLED.call()
    if several:
        pipe.controlnet = MultiControlNetModel([pipe.controlnet, pipe.controlnet])
        call |= {"image": [call["image"]] * 2, "controlnet_conditioning_scale": [0.5, 0.7]}
    conditioning = conditioned(pipe, CONTROLLED, "a cat AND a fox", NEGATIVE)
    given, read = [], []
    names = ("down_block_additional_residuals", "mid_block_additional_residual")
    handles = [
        pipe.controlnet.register_forward_hook(lambda _, __, output: given.append(output)),
        pipe.unet.register_forward_pre_hook(
            lambda _, __, kwargs: read.append([kwargs[name] for name in names]), with_kwargs=True
        ),
    ]
    with conditioning.attached(pipe):
        draw(pipe, call, **conditioning.kwargs_for(pipe))
    for handle in handles:
        handle.remove()
    for (downs, middle), (down_read, middle_read) in zip(given, read, strict=True):
        assert len(middle) == 3
        assert not torch.equal(middle[1], middle[2])
        assert torch.equal(middle, middle_read)
        assert all(torch.equal(*pair) for pair in zip(downs, down_read, strict=True))


def test_a_batch_of_composed_and_plain_prompts():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, ["a cat AND a fox :0.5", "a ball"], NEGATIVE)
    with recorded(pipe) as calls:
        (drawn,) = attached(pipe, SD1, conditioning, num_images_per_prompt=2)
    assert {read.rows for read in calls} == {4 + 2 * 3}
    (plain,) = draw(pipe, SD1.call(), **says(conditioning, 0, 2).kwargs_for(pipe, 2))
    assert np.abs(drawn[2:] - plain[2:]).max() < CLOSE
    assert np.abs(drawn[:2] - plain[:2]).max() > CLOSE


def test_parts_change_over_the_steps():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "a [cat:fox:2] AND a ball :0.5", NEGATIVE)
    with recorded(pipe) as calls:
        attached(pipe, SD1, conditioning)
    for step, read in enumerate(calls):
        _, first, second = read.texts["encoder_hidden_states"]
        assert torch.equal(first, conditioning.prompt_embeds[step // 2])
        assert torch.equal(second, conditioning.prompt_embeds[2])


def test_each_operator_draws_something_of_its_own():
    pipe = SD1.build()
    conditioner = Conditioner.from_pipeline(pipe, dialect="a1111+")
    drawn = []
    for operator in ("AND", "AND_PERP", "AND_SALT", "AND_TOPK"):
        conditioning = conditioner(f"a cat {operator} a fox :-0.8", negative_prompt=NEGATIVE)
        drawn += attached(pipe, SD1, conditioning)
    assert all(np.isfinite(picture).all() for picture in drawn)
    assert all(not np.array_equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sd1", {"guidance_scale": 1.0}),
        ("FluxPipeline", {}),
        ("FluxControlPipeline", {}),
        ("WanPipeline", {"guidance_scale": 1.0}),
    ],
)
def test_where_nothing_is_guided_nothing_is_composed(name, call):
    made = case(name)
    pipe = made.build()
    negative = None if name.startswith("FluxControl") else NEGATIVE
    conditioning = conditioned(pipe, made, "a cat AND a fox", negative)
    with pytest.raises(ClipcondError, match="AND composes prompts against the negative prompt"):
        attached(pipe, made, conditioning, **call)


def test_perturbed_attention_is_refused():
    made = case("StableDiffusionPAGPipeline")
    pipe = made.build()
    conditioning = conditioned(pipe, made, "a cat :0.5 AND a cat :0.5", NEGATIVE)
    with pytest.raises(UnsupportedPipelineError, match=r"perturbed attention.*pag_scale is 0"):
        attached(pipe, made, conditioning)
    pipe = made.build()
    plain = draw(pipe, made.call(), **says(conditioning, 0).kwargs_for(pipe), pag_scale=0.0)
    assert distance(attached(pipe, made, conditioning, pag_scale=0.0), plain) < CLOSE


def test_guess_mode_is_refused():
    pipe = CONTROLLED.build()
    conditioning = conditioned(pipe, CONTROLLED, "a cat AND a fox", NEGATIVE)
    with pytest.raises(UnsupportedPipelineError, match="guess_mode=False"):
        attached(pipe, CONTROLLED, conditioning, guess_mode=True)


def test_sides_of_other_pictures_are_refused():
    made = case("WanAnimatePipeline")
    pipe = made.build()
    conditioning = conditioned(pipe, made, "a cat AND a fox", NEGATIVE)
    with pytest.raises(UnsupportedPipelineError, match="other pictures for the negative prompt"):
        attached(pipe, made, conditioning, guidance_scale=3.0)


def test_a_negative_prompt_is_not_composed():
    pipe = SD1.build()
    with pytest.raises(ClipcondError, match="only prompts are composed"):
        conditioned(pipe, SD1, "a cat", "a dog AND a fox")
