"""Prompts that change over the steps: what is read when, by whom, and what is left behind."""

import pytest
import torch

from clipcond import Conditioner
from clipcond.errors import ClipcondError
from clipcond.prompt import parse
from tests.cases import cases
from tests.hooks.drawing import (
    attached,
    by_hand,
    case,
    conditioned,
    draw,
    recorded,
    rows_read,
    same,
    says,
)

NEGATIVE = "a dog"
SD1, SDXL = case("sd1"), case("sdxl")
SCHEDULES = [
    pytest.param(
        row,
        id=f"{row['prompt']} in {row['steps']}",
        marks=[pytest.mark.slow] if row["steps"] > 10 else [],
    )
    for row in cases("prompts")["schedules"]
]


def shape_of(pipe):
    """What is restored: classes, attributes and hooks."""
    modules = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    inner = [module for part in modules for module in part.modules()]
    return [
        (type(each), set(vars(each)), len(getattr(each, "_forward_pre_hooks", ())))
        for each in (pipe, *inner)
    ]


def seen(pipe, made, conditioning, **more):
    """Which states were read, call by call."""
    with recorded(pipe) as calls:
        attached(pipe, made, conditioning, **more)
    return rows_read(calls, conditioning)


@pytest.mark.parametrize("row", SCHEDULES)
def test_each_step_reads_what_a1111_lists(row):
    pipe = SD1.build()
    conditioner = Conditioner.from_pipeline(pipe)
    steps = row["steps"]
    conditioning = conditioner(row["prompt"], negative_prompt="", steps=steps)
    texts = [next(text for end, text in row["schedule"] if end > step) for step in range(steps)]
    with recorded(pipe) as calls:
        attached(pipe, SD1, conditioning, num_inference_steps=steps)
    assert len(calls) == steps
    if " AND " in row["prompt"]:  # what is composed is read at every step
        assert {read.rows for read in calls} == {3}
        return
    distinct = list(dict.fromkeys(texts))
    expected = dict(zip(distinct, conditioner(distinct).prompt_embeds, strict=True))
    for text, read in zip(texts, calls, strict=True):
        torch.testing.assert_close(
            read.texts["encoder_hidden_states"][1], expected[text], rtol=0, atol=1e-5
        )


def test_each_prompt_of_a_batch_has_its_own():
    pipe = SD1.build()
    prompts = ["a [cat:fox:1]", "a ball", "a [dog:house:3]"]
    conditioning = conditioned(pipe, SD1, prompts, NEGATIVE)
    assert len(conditioning.prompt_embeds) == 5
    looks = [(0, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 4)]
    assert seen(pipe, SD1, conditioning) == looks
    twice = [tuple(row for row in look for _ in range(2)) for look in looks]
    assert seen(pipe, SD1, conditioning, num_images_per_prompt=2) == twice


@pytest.mark.pitfall(11)
@pytest.mark.parametrize("negative", ["a [dog:house:1]", "[dog:0.5]"])
def test_negative_prompts_have_theirs(negative):
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "a [cat:fox:3]", negative)
    assert conditioning.negative_prompt_embeds.shape[0] == 2
    with recorded(pipe) as calls:
        attached(pipe, SD1, conditioning)
    switch = 1 if "1" in negative else 2
    for step, read in enumerate(calls):
        row, other = read.texts["encoder_hidden_states"].unbind(0)
        assert torch.equal(row, conditioning.negative_prompt_embeds[int(step >= switch)])
        assert torch.equal(other, conditioning.prompt_embeds[int(step >= 3)])


def test_one_that_begins_with_nothing_is_not_taken_for_the_empty_negative_prompt():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "[fox:0.5]", "")
    assert torch.equal(conditioning.prompt_embeds[0], conditioning.negative_prompt_embeds[0])
    first, second = says(conditioning, 0).kwargs_for(pipe), says(conditioning, 1).kwargs_for(pipe)
    drawn = attached(pipe, SD1, conditioning)
    assert same(drawn, by_hand(SD1.build, SD1.call, first, second, looks=2))


def test_encoders_with_prompts_of_their_own_change_when_theirs_do():
    pipe = SDXL.build()
    conditioning = conditioned(pipe, SDXL, "a [cat:fox:1]", NEGATIVE, prompt_2="a [dog:ball:3]")
    with recorded(pipe) as calls:
        attached(pipe, SDXL, conditioning)
    assert rows_read(calls, conditioning) == [(0,), (1,), (1,), (2,)]
    for read, row in zip(calls, (0, 1, 1, 2), strict=True):
        assert torch.equal(read.texts["text_embeds"][1], conditioning.pooled_prompt_embeds[row])


@pytest.mark.pitfall(12)
def test_the_pooled_vectors_of_flux_change_too():
    made = case("flux")
    pipe = made.build()
    conditioning = conditioned(pipe, made, "a [cat:fox:2]", None)
    with recorded(pipe) as calls:
        attached(pipe, made, conditioning)
    for read, row in zip(calls, (0, 0, 1, 1), strict=True):
        assert torch.equal(read.texts["encoder_hidden_states"][0], conditioning.prompt_embeds[row])
        assert torch.equal(
            read.texts["pooled_projections"][0], conditioning.pooled_prompt_embeds[row]
        )


def test_states_of_several_lengths_are_filled_with_encoded_empties():
    pipe = SD1.build()
    long = "a red cat, " * 30
    conditioning = conditioned(pipe, SD1, f"[{long}:a fox:2]", NEGATIVE)
    together = conditioned(pipe, SD1, [long, "a fox"], NEGATIVE)
    assert conditioning.prompt_embeds.shape[1] == 2 * 77
    torch.testing.assert_close(
        conditioning.prompt_embeds, together.prompt_embeds, rtol=0, atol=1e-6
    )
    first, second = says(conditioning, 0).kwargs_for(pipe), says(conditioning, 1).kwargs_for(pipe)
    drawn = attached(pipe, SD1, conditioning)
    assert same(drawn, by_hand(SD1.build, SD1.call, first, second, looks=2))


def test_a_run_of_another_length_than_was_told_is_refused():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "a [cat:fox:0.5]", NEGATIVE, steps=1)
    assert not conditioning.is_dynamic  # a run of one step says one thing
    conditioning = conditioned(pipe, SD1, "a [cat|fox|ball|house]", NEGATIVE, steps=2)
    with pytest.raises(ClipcondError, match=r"step 3 of 4 .*condition with steps=4"):
        attached(pipe, SD1, conditioning)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_a_run_that_fails_leaves_everything_as_it_was(name):
    made = case(name)
    pipe = made.build()
    conditioning = conditioned(pipe, made, "a [cat:fox:2]", NEGATIVE)
    right = attached(pipe, made, conditioning)
    before = shape_of(pipe)

    def fail(pipe, step, *_):
        if step == 1:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        attached(pipe, made, conditioning, callback_on_step_end=fail)
    assert shape_of(pipe) == before
    assert same(attached(pipe, made, conditioning), right)
    plain = says(conditioning, 0).kwargs_for(pipe)
    assert same(draw(pipe, made.call(), **plain), draw(made.build(), made.call(), **plain))


def test_one_attachment_draws_many_times():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "a [cat:fox:2]", NEGATIVE)
    with conditioning.attached(pipe):
        kwargs = conditioning.kwargs_for(pipe)
        once, again = draw(pipe, SD1.call(), **kwargs), draw(pipe, SD1.call(), **kwargs)
        longer = draw(pipe, SD1.call(), **kwargs, num_inference_steps=3)
    assert same(once, again)
    assert same(longer, attached(pipe, SD1, conditioning, num_inference_steps=3))


def test_what_it_needs_is_asked_for():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "a [cat:fox:2]", NEGATIVE)
    other = conditioned(pipe, SD1, "a [dog:ball:2]", NEGATIVE)
    with pytest.raises(ClipcondError, match=r"within `with conditioning\.attached\(pipe\):`"):
        conditioning.kwargs_for(pipe)
    with conditioning.attached(pipe):
        kwargs = conditioning.kwargs_for(pipe)
        for twice in (conditioning, other):
            with (
                pytest.raises(ClipcondError, match="already; leave that one first"),
                twice.attached(pipe),
            ):
                pass
        with pytest.raises(ClipcondError, match="within"):
            other.kwargs_for(pipe)
    with pytest.raises(ClipcondError, match="which has ended"):
        draw(pipe, SD1.call(), **kwargs)
    with other.attached(pipe), pytest.raises(ClipcondError, match="which has ended"):
        draw(pipe, SD1.call(), **kwargs)


def test_one_that_says_one_thing_attaches_nothing():
    pipe = SD1.build()
    conditioning = conditioned(pipe, SD1, "a photo of a cat", NEGATIVE)
    with conditioning.attached(pipe), conditioning.attached(pipe):
        assert type(pipe).__call__ is type(SD1.build()).__call__
        drawn = draw(pipe, SD1.call(), **conditioning.kwargs_for(pipe))
    assert same(drawn, draw(pipe, SD1.call(), **conditioning.kwargs_for(pipe)))


def test_a_prompt_says_what_its_own_list_says():
    """`Prompt.schedule` and the run are two readers of one thing."""
    pipe = SD1.build()
    text = "a [cat:fox:0.3] [red|blue] ball"
    rows = parse(text).schedule(4)
    conditioning = conditioned(pipe, SD1, text, NEGATIVE, steps=4)
    distinct = list(dict.fromkeys(said for _, said in rows))
    expected = [(distinct.index(next(s for end, s in rows if end > n)),) for n in range(4)]
    assert seen(pipe, SD1, conditioning) == expected
