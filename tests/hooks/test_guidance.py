"""Guidance by the step: what is drawn, and how many rows are run for it."""

import numpy as np
import pytest

import clipcond
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.hooks.clock import Moment
from clipcond.hooks.guidance import Guidance
from tests.hooks.drawing import case, conditioned, distance, draw, recorded, same

NEGATIVE = "a dog"
CLOSE = 1e-4  # another number of rows changes last bits
NAMES = [
    "sd1",
    "flux",
    "WanPipeline",
    pytest.param("Kandinsky3Pipeline", marks=pytest.mark.slow),
    pytest.param("sd3", marks=pytest.mark.slow),
    pytest.param("sdxl", marks=pytest.mark.slow),
    pytest.param("Wan of two", marks=pytest.mark.slow),
    pytest.param("Cosmos2TextToImagePipeline", marks=pytest.mark.slow),
    pytest.param("StableCascadePriorPipeline", marks=pytest.mark.slow),
    pytest.param("StableDiffusionControlNetPipeline", marks=pytest.mark.slow),
]
pytestmark = pytest.mark.filterwarnings("ignore")


def scale_of(pipe, value):
    """The guidance scale of a call, and of both transformers where there are two."""
    name = "true_cfg_scale" if type(pipe).__name__ == "FluxPipeline" else "guidance_scale"
    return {name: value}


def prepared(name):
    made = case(name)
    pipe = made.build()
    kwargs = conditioned(pipe, made, "a photo of a cat", NEGATIVE).kwargs_for(pipe)
    return pipe, made.call() | scale_of(pipe, 4.0) | kwargs


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_run_is_the_pipelines_own(name):
    pipe, call = prepared(name)
    own = draw(pipe, call)
    with clipcond.guidance(pipe):
        assert same(draw(pipe, call), own)
    assert same(draw(pipe, call), own)


@pytest.mark.parametrize("name", NAMES)
def test_without_guidance_half_is_not_computed(name):
    pipe, call = prepared(name)
    with recorded(pipe) as usual:
        draw(pipe, call)
    with clipcond.guidance(pipe, interval=(0, 0)), recorded(pipe) as calls:
        drawn = draw(pipe, call)
    spared = sum(read.rows for read in usual) - sum(read.rows for read in calls)
    assert spared == len({read.time for read in usual})  # one a step
    if name == "Kandinsky3Pipeline" or name.startswith(("Cosmos", "StableCascade")):
        return  # a scale of 1 guides them, as theirs is 1 more; or fails in diffusers 0.42, for Stable Cascade
    assert distance(drawn, draw(pipe, call | scale_of(pipe, 1.0))) < CLOSE


@pytest.mark.parametrize("name", NAMES)
def test_another_scale_is_that_scale(name):
    pipe, call = prepared(name)
    own = draw(pipe, call | scale_of(pipe, 2.5))
    for scale in (2.5, [2.5], lambda share: 2.5):
        with clipcond.guidance(pipe, scale=scale):
            assert distance(draw(pipe, call), own) < CLOSE


def test_another_scale_is_that_scale_where_two_transformers_have_their_own():
    pipe, call = prepared("Wan of two")
    own = draw(pipe, call | {"guidance_scale": 2.5, "guidance_scale_2": 2.5})
    with clipcond.guidance(pipe, scale=2.5):
        assert distance(draw(pipe, call | {"guidance_scale_2": 6.0}), own) < CLOSE


@pytest.mark.parametrize("name", ["sd1", "WanPipeline"])
def test_rows_are_run_within_the_interval_only(name):
    pipe, call = prepared(name)
    with clipcond.guidance(pipe, interval=(0.25, 0.75)), recorded(pipe) as calls:
        draw(pipe, call)
    guided = [read.rows for read in calls]
    assert guided == ([1, 2, 2, 1] if name == "sd1" else [1, 1, 1, 1, 1, 1])
    with recorded(pipe) as calls:
        draw(pipe, call)
    assert sum(read.rows for read in calls) == 8


def test_an_interval_draws_what_switching_by_hand_draws():
    pipe, call = prepared("sd1")

    def change(pipe, step, *_):
        pipe._guidance_scale = (
            4.0 if step == 0 else 1.000001
        )  # of the next step: 1 would change the rows
        return {}

    by_hand = draw(pipe, call, callback_on_step_end=change)
    with clipcond.guidance(pipe, interval=(0, 0.5)):
        assert distance(draw(pipe, call), by_hand) < CLOSE


def test_a_table_lasts_equally_long_and_a_function_is_asked_at_each_step():
    pipe, call = prepared("sd1")
    asked = []

    def change(pipe, step, *_):
        pipe._guidance_scale = 2.0 if step == 0 else 6.0
        return {}

    by_hand = draw(pipe, call | {"guidance_scale": 2.0}, callback_on_step_end=change)
    with clipcond.guidance(pipe, scale=[2.0, 6.0]):
        assert distance(draw(pipe, call), by_hand) < CLOSE
    with clipcond.guidance(
        pipe, scale=lambda share: asked.append(share) or (2 if share < 0.5 else 6)
    ):
        assert distance(draw(pipe, call), by_hand) < CLOSE
    assert asked == [0, 0.25, 0.5, 0.75]


@pytest.mark.pitfall(14)
def test_pictures_and_prompts_of_a_batch():
    made = case("sd1")
    pipe = made.build()
    conditioning = conditioned(pipe, made, ["a cat", "a fox"], NEGATIVE)
    call = made.call() | conditioning.kwargs_for(pipe, num_images_per_prompt=2)
    with clipcond.guidance(pipe, interval=(0, 0)), recorded(pipe) as calls:
        drawn = draw(pipe, call)
    assert {read.rows for read in calls} == {4}
    assert distance(drawn, draw(pipe, call | {"guidance_scale": 1.0})) < CLOSE


def test_strings_are_guided_as_tensors_are():
    made = case("sd1")
    pipe = made.build()
    call = made.call() | {"prompt": "a cat", "negative_prompt": NEGATIVE}
    with clipcond.guidance(pipe, interval=(0, 0)):
        drawn = draw(pipe, call)
    assert distance(drawn, draw(pipe, call | {"guidance_scale": 1.0})) < CLOSE


def test_editing_by_two_scales_leaves_both_out():
    made = case("StableDiffusionInstructPix2PixPipeline")
    pipe = made.build()
    call = made.call() | conditioned(pipe, made, "a cat", NEGATIVE).kwargs_for(pipe)
    own = draw(pipe, call)
    with clipcond.guidance(pipe):
        assert same(draw(pipe, call), own)
    with clipcond.guidance(pipe, interval=(0, 0.5)), recorded(pipe) as calls:
        drawn = draw(pipe, call)
    assert [read.rows for read in calls] == [3, 3, 1, 1]
    assert not same(drawn, own)
    assert all(np.isfinite(array).all() for array in drawn)
    with pytest.raises(UnsupportedPipelineError, match=r"interval= without scale="), clipcond.guidance(pipe, scale=3):  # fmt: skip
        pass


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"interval": (0.8, 0.2)}, "two rising shares"),
        ({"interval": (-0.1, 0.5)}, "two rising shares"),
        ({"interval": (0, 1.5)}, "two rising shares"),
        ({"scale": []}, "empty table"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, match):
    pipe = case("sd1").build()
    with pytest.raises(ClipcondError, match=match), clipcond.guidance(pipe, **options):
        pass


def test_where_nothing_is_guided_it_says_so():
    for name in ("sd1", "flux", "FluxControlPipeline", "LatentConsistencyModelPipeline"):
        made = case(name)
        pipe = made.build()
        call = made.call() | {"prompt": "a cat"}  # of Flux no negative prompt
        call |= {"guidance_scale": 1.0} if name == "sd1" else {}
        with pytest.raises(ClipcondError, match="reads none"), clipcond.guidance(pipe):
            draw(pipe, call)


def test_perturbed_attention_is_refused():
    made = case("StableDiffusionPAGPipeline")
    pipe = made.build()
    with pytest.raises(UnsupportedPipelineError, match="perturbed attention"), clipcond.guidance(pipe):  # fmt: skip
        draw(pipe, made.call() | {"prompt": "a cat"})


def test_the_first_share_is_in_the_interval_and_the_last_is_not():
    guidance = Guidance((0.25, 0.75), 3.0)
    shares = [guidance.at(Moment(n, 8, n / 8), added=0.0) for n in range(8)]
    assert shares == [1, 1, 3, 3, 3, 3, 1, 1]
