"""What acts inside a pipeline together, beside offloading, compilation, other pipelines and other threads."""

import copy
import threading
from contextlib import ExitStack
from itertools import permutations

import pytest
import torch
from accelerate import cpu_offload, cpu_offload_with_hook
from diffusers import StableDiffusionImg2ImgPipeline
from diffusers.hooks import apply_group_offloading

import clipcond
from clipcond.errors import ClipcondError
from tests.hooks.drawing import attached, case, conditioned, distance, draw, recorded, same, says

NEGATIVE, CHANGING = "a dog", "a [cat:fox:2]"
SD1 = case("sd1")
CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore")


def prepared():
    pipe = SD1.build()
    return pipe, conditioned(pipe, SD1, CHANGING, NEGATIVE)


def expected():
    pipe, conditioning = prepared()
    return attached(pipe, SD1, conditioning)


def test_what_acts_comes_and_goes_in_any_order():
    pipe, conditioning = prepared()
    own = type(pipe), type(pipe.unet)
    actors = {
        "attached": lambda: conditioning.attached(pipe),
        "guidance": lambda: clipcond.guidance(pipe, interval=(0, 0.5)),
    }
    drawn = []
    for order in permutations(actors):
        for leaving in permutations(actors):
            stacks = {name: ExitStack() for name in actors}
            for name in order:
                stacks[name].enter_context(actors[name]())
            drawn.append(draw(pipe, SD1.call(), **conditioning.kwargs_for(pipe)))
            for name in leaving:
                stacks[name].close()
            assert (type(pipe), type(pipe.unet)) == own
    assert all(same(drawn[0], other) for other in drawn)
    assert not same(drawn[0], attached(pipe, SD1, conditioning))
    with clipcond.guidance(pipe, interval=(0, 0.5)), recorded(pipe) as calls:
        attached(pipe, SD1, conditioning)
    assert [read.rows for read in calls] == [2, 2, 1, 1]


def test_one_that_leaves_first_takes_nothing_with_it():
    pipe, conditioning = prepared()
    with ExitStack() as guided:
        guided.enter_context(clipcond.guidance(pipe, interval=(0, 0)))
        with conditioning.attached(pipe):
            kwargs = conditioning.kwargs_for(pipe)
            guided.close()
            assert same(draw(pipe, SD1.call(), **kwargs), expected())
    with pytest.raises(ClipcondError):
        conditioning.kwargs_for(pipe)


def offload_one_by_one(pipe):
    """As `enable_model_cpu_offload`, which wants an accelerator: hooks that each run takes off and puts on again."""
    hook = None
    pipe._all_hooks = []
    for slot in ("text_encoder", "unet", "vae"):
        _, hook = cpu_offload_with_hook(getattr(pipe, slot), CPU, prev_module_hook=hook)
        pipe._all_hooks.append(hook)

    def again(device=None):
        pipe.remove_all_hooks()
        offload_one_by_one(pipe)

    pipe.enable_model_cpu_offload = again


def offload_by_parts(pipe):
    for slot in ("text_encoder", "unet", "vae"):
        cpu_offload(getattr(pipe, slot), CPU)


def offload_by_groups(pipe):
    for slot in ("text_encoder", "unet", "vae"):
        apply_group_offloading(getattr(pipe, slot), CPU, CPU, offload_type="leaf_level")


def compiled(pipe):
    pipe.unet = torch.compile(pipe.unet, backend="eager")


def compiled_in_place(pipe):
    pipe.unet.compile(backend="eager")


OFFLOADS = (offload_one_by_one, offload_by_parts, offload_by_groups)
COMPILED = [
    pytest.param(change, marks=pytest.mark.slow) for change in (compiled, compiled_in_place)
]


@pytest.mark.parametrize("change", [*OFFLOADS, *COMPILED])
def test_before_it_acts_the_pipeline_may_be(change):
    pipe, conditioning = prepared()
    change(pipe)
    once, again = (attached(pipe, SD1, conditioning) for _ in range(2))
    assert same(once, again)
    assert distance(once, expected()) < 1e-5
    plain = says(conditioning, 0).kwargs_for(pipe)
    assert distance(draw(pipe, SD1.call(), **plain), draw(SD1.build(), SD1.call(), **plain)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("change", [*OFFLOADS, compiled_in_place])
def test_while_it_acts_the_pipeline_may_be(change):
    pipe, conditioning = prepared()
    with conditioning.attached(pipe):
        kwargs = conditioning.kwargs_for(pipe)
        change(pipe)
        drawn = [draw(pipe, SD1.call(), **kwargs) for _ in range(2)]
    assert all(distance(each, expected()) < 1e-5 for each in drawn)


@pytest.mark.pitfall(16)
def test_the_hooks_of_offloading_are_taken_off_and_put_on_again():
    pipe, conditioning = prepared()
    offload_one_by_one(pipe)
    with conditioning.attached(pipe):
        kwargs = conditioning.kwargs_for(pipe)
        draw(pipe, SD1.call(), **kwargs)
        pipe.maybe_free_model_hooks()
        assert distance(draw(pipe, SD1.call(), **kwargs), expected()) < 1e-5


def sharing(pipe):
    """Another pipeline with the same modules."""
    parts = {name: part for name, part in pipe.components.items() if name != "image_encoder"}
    other = type(SD1.build())(**parts, requires_safety_checker=False)
    other.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    other.set_progress_bar_config(disable=True)
    return other


def test_a_pipeline_that_shares_its_denoiser_is_left_alone():
    pipe, conditioning = prepared()
    other = sharing(pipe)
    plain = says(conditioning, 1).kwargs_for(pipe)
    own = draw(other, SD1.call(), **plain)
    assert isinstance(StableDiffusionImg2ImgPipeline.from_pipe(pipe).unet, type(pipe.unet))
    with conditioning.attached(pipe), clipcond.guidance(pipe, interval=(0, 0.5)):
        assert same(draw(other, SD1.call(), **plain), own)
        with pytest.raises(ClipcondError, match="within"):
            conditioning.kwargs_for(other)
        with clipcond.guidance(other, interval=(0, 0)):
            assert not same(draw(other, SD1.call(), **plain), own)
    assert same(draw(other, SD1.call(), **plain), own)


@pytest.mark.parametrize("outer", [0, 1])
def test_both_of_two_that_share_a_denoiser_act_and_leave_in_any_order(outer):
    pipe, conditioning = prepared()
    pipes = [pipe, sharing(pipe)]
    own = type(pipe.unet)
    stacks = [ExitStack(), ExitStack()]
    for each, stack in zip(pipes, stacks, strict=True):
        stack.enter_context(conditioning.attached(each))
    for each in pipes:
        assert same(draw(each, SD1.call(), **conditioning.kwargs_for(each)), expected())
    stacks[outer].close()
    left = pipes[1 - outer]
    assert same(draw(left, SD1.call(), **conditioning.kwargs_for(left)), expected())
    stacks[1 - outer].close()
    assert type(pipe.unet) is own


def test_another_thread_draws_meanwhile():
    pipe, conditioning = prepared()
    other = sharing(pipe)
    plain = says(conditioning, 1).kwargs_for(pipe)
    own = draw(other, SD1.call(), **plain)
    right = expected()
    found, entered = {}, threading.Event()

    def draw_plain():
        entered.wait()
        call = SD1.call()
        with torch.no_grad():
            found["plain"] = other(**call, **plain)[0].numpy()

    def first_step(*_):
        entered.set()
        return {}

    thread = threading.Thread(target=draw_plain)
    thread.start()
    try:
        drawn = attached(pipe, SD1, conditioning, callback_on_step_end=first_step)
    finally:
        entered.set()
        thread.join()
    assert same(drawn, right)
    assert same([found["plain"]], own)


def test_a_copy_made_meanwhile_is_a_pipeline_of_its_own():
    pipe, conditioning = prepared()
    plain = says(conditioning, 1).kwargs_for(pipe)
    with conditioning.attached(pipe):
        twin = copy.deepcopy(pipe)
        assert same(draw(twin, SD1.call(), **plain), draw(SD1.build(), SD1.call(), **plain))
        assert same(draw(pipe, SD1.call(), **conditioning.kwargs_for(pipe)), expected())
    assert same(draw(twin, SD1.call(), **plain), draw(SD1.build(), SD1.call(), **plain))
    assert same(attached(twin, SD1, conditioning), expected())
