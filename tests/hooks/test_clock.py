"""Which step it is, for every kind of scheduler: as AUTOMATIC1111 lists steps, from the first that is executed."""

import diffusers
import pytest

from clipcond.prompt import parse
from tests.hooks.drawing import (
    attached,
    by_hand,
    case,
    conditioned,
    recorded,
    rows_read,
    same,
    says,
)

SD1, SD3, IMG2IMG = case("sd1"), case("sd3"), case("StableDiffusionImg2ImgPipeline")
TEXTS = ("a [cat:fox:0.5]", "a [cat:fox:2]", "a [cat|fox]")
# schedulers that look once a step, and twice, with their options
ONCE = {
    "DDIMScheduler": {},
    "EulerDiscreteScheduler": {},
    "EulerAncestralDiscreteScheduler": {},
    "DPMSolverMultistepScheduler": {"use_karras_sigmas": True},
    "UniPCMultistepScheduler": {},
    "LCMScheduler": {},
}
TWICE = {
    "HeunDiscreteScheduler": {},
    "KDPM2DiscreteScheduler": {},
    "KDPM2AncestralDiscreteScheduler": {},
}
pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' KDPM2 warns


def quick(names, one):
    """All of them, but for one only in the long run."""
    return [name if name == one else pytest.param(name, marks=pytest.mark.slow) for name in names]


def with_scheduler(pipe, name, **options):
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config, **options)
    return pipe


def listed(text, steps):
    """Which state `Prompt.schedule` names at each step."""
    rows = parse(text).schedule(steps)
    return [int("fox" in next(said for end, said in rows if end > n)) for n in range(steps)]


def seen(pipe, made, text, **call):
    conditioning = conditioned(pipe, made, text, "a dog")
    with recorded(pipe) as calls:
        attached(pipe, made, conditioning, **call)
    return [row for (row,) in rows_read(calls, conditioning)]


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("name", quick(ONCE, "DPMSolverMultistepScheduler"))
def test_a_look_a_step(name, steps):
    pipe = with_scheduler(SD1.build(), name, **ONCE[name])
    for text in TEXTS:
        assert seen(pipe, SD1, text, num_inference_steps=steps) == listed(text, steps)


@pytest.mark.pitfall(15)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", quick(TWICE, "HeunDiscreteScheduler"))
def test_two_looks_a_step_are_counted_each_but_the_last(name, steps):
    pipe = with_scheduler(SD1.build(), name, **TWICE[name])
    for text in TEXTS:
        looks = seen(pipe, SD1, text, num_inference_steps=steps)
        assert looks == listed(text, 2 * steps)[:-1]


@pytest.mark.slow
def test_two_looks_a_step_of_a_flow():
    pipe = with_scheduler(SD3.build(), "FlowMatchHeunDiscreteScheduler")
    for text in TEXTS:
        assert seen(pipe, SD3, text, num_inference_steps=3) == listed(text, 6)[:-1]


def test_the_second_look_of_pndm_is_at_its_first_step():
    pipe = with_scheduler(SD1.build(), "PNDMScheduler", skip_prk_steps=True)
    for text in TEXTS:
        first, *others = listed(text, 5)
        assert seen(pipe, SD1, text, num_inference_steps=5) == [first, first, *others]


@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
def test_picture_to_picture_counts_from_the_first_step_that_is_executed(name):
    pipe = with_scheduler(IMG2IMG.build(), name)
    call = {"num_inference_steps": 8, "strength": 0.5}
    assert seen(pipe, IMG2IMG, "a [cat:fox:0.25]", **call) == [0, 0, 1, 1]
    assert seen(pipe, IMG2IMG, "a [cat:fox:1]", **call) == [0, 1, 1, 1]
    # of eight steps half are asked for, and half of eight is never reached
    assert seen(pipe, IMG2IMG, "a [cat:fox:0.5]", **call) == [0, 0, 0, 0]


def test_picture_to_picture_of_a_second_order():
    pipe = with_scheduler(IMG2IMG.build(), "HeunDiscreteScheduler")
    call = {"num_inference_steps": 8, "strength": 0.5}
    assert seen(pipe, IMG2IMG, "a [cat:fox:0.25]", **call) == [0, 0, 0, 0, 1, 1, 1]


def test_timesteps_of_the_callers_own():
    pipe = with_scheduler(SD1.build(), "EulerDiscreteScheduler", timestep_spacing="linspace")
    call = {"timesteps": [999, 700, 300, 100, 20]}
    assert seen(pipe, SD1, "a [cat:fox:2]", **call) == [0, 0, 1, 1, 1]
    assert seen(pipe, SD1, "a [cat:fox:0.6]", **call) == [0, 0, 0, 1, 1]


def test_a_flow_of_the_callers_own_shift():
    made = case("sd3")
    pipe = with_scheduler(made.build(), "FlowMatchEulerDiscreteScheduler", shift=7.0)

    def build():
        return with_scheduler(made.build(), "FlowMatchEulerDiscreteScheduler", shift=7.0)

    changing = conditioned(pipe, made, "a [cat:fox:3]", "a dog")
    first, second = says(changing, 0).kwargs_for(pipe), says(changing, 1).kwargs_for(pipe)
    assert same(attached(pipe, made, changing), by_hand(build, made.call, first, second, looks=3))
