"""Conditionings over the steps: what the denoiser reads at each."""

import pytest
import torch

import clipcond
from clipcond import Conditioner
from clipcond.errors import ClipcondError
from tests import doubles as tiny

STEPS = 8
OPTIONS = {"num_inference_steps": STEPS, "output_type": "latent", "height": 32, "width": 32}


@pytest.fixture(scope="module")
def pipe():
    return tiny.sd1()


@pytest.fixture(scope="module")
def conditioner(pipe):
    return Conditioner.from_pipeline(pipe)


def draw(pipe, conditioning):
    torch.manual_seed(0)
    with conditioning.attached(pipe):
        return pipe(**conditioning.kwargs_for(pipe), **OPTIONS).images


def read(pipe, conditioning):
    """The text of the prompt's row at each step."""
    seen = []
    hook = pipe.unet.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["encoder_hidden_states"].chunk(2)[1]),
        with_kwargs=True,
    )
    try:
        draw(pipe, conditioning)
    finally:
        hook.remove()
    return seen


@pytest.mark.parametrize("curve", ["lerp", "slerp"])
def test_between_two_keys_lies_what_the_algebra_gives(curve, pipe, conditioner):
    a, b = conditioner("a red cat"), conditioner("a blue dog")
    seen = read(pipe, clipcond.schedule([(0.0, a), (0.5, b)], curve=curve))
    between = getattr(clipcond, curve)
    for step, text in enumerate(seen):
        share = min(1.0, step / STEPS / 0.5)
        expected = b if share == 1 else between(a, b, share) if share else a
        assert torch.equal(text, expected.prompt_embeds)


@pytest.mark.parametrize(("easing", "share"), [("linear", 0.25), ("smooth", 0.15625), ("step", 0)])
def test_easing(easing, share, pipe, conditioner):
    a, b = conditioner("a red cat"), conditioner("a blue dog")
    text = read(pipe, clipcond.schedule([(0, a), (1, b)], easing=easing))[2]
    expected = clipcond.lerp(a, b, share) if share else a
    assert torch.equal(text, expected.prompt_embeds)


def test_steps_are_a_schedule_of_the_language(pipe, conditioner):
    both = conditioner(["a red cat", "a red dog"])
    a, b = (conditioner(text) for text in ("a red cat", "a red dog"))
    torch.testing.assert_close(both.prompt_embeds[:1], a.prompt_embeds)
    keys = clipcond.schedule([(0.0, a), (0.5, b)], easing="step")
    torch.testing.assert_close(
        draw(pipe, keys), draw(pipe, conditioner("a red [cat:dog:0.5]")), rtol=0, atol=1e-4
    )


def test_one_key_is_what_it_says(pipe, conditioner):
    a = conditioner("a red cat", negative_prompt="bad")
    assert torch.equal(draw(pipe, clipcond.schedule([(0.0, a)])), draw(pipe, a))


def test_a_batch_and_its_negative_prompts(pipe, conditioner):
    a = conditioner(["a cat", "a dog"], negative_prompt=["bad", "red"])
    b = conditioner(["a hat", "a car"], negative_prompt=["blue", "bad"])
    whole = clipcond.schedule([(0.0, a), (0.4, b)])
    assert draw(pipe, whole).shape[0] == 2
    assert "Conditioning(Stable Diffusion 1 and 2: 2 prompts" in repr(whole)


@pytest.mark.parametrize(
    ("shares", "options", "says"),
    [
        ([], {}, "do not rise from 0"),
        ([0.1], {}, "do not rise from 0"),
        ([0, 0.5, 0.5], {}, "do not rise from 0"),
        ([0, 1.5], {}, "do not rise from 0"),
        ([0, float("nan")], {}, "do not rise from 0"),
        ([0, 0.5], {"easing": "bounce"}, "no easing 'bounce'; there are linear, smooth, step"),
        ([0, 0.5], {"curve": "cubic"}, "no curve 'cubic'; there are lerp, slerp"),
    ],
)
def test_what_makes_no_sense_is_refused(shares, options, says, conditioner):
    a = conditioner("a cat")
    with pytest.raises(ClipcondError, match=says):
        clipcond.schedule([(share, a) for share in shares], **options)


def test_what_does_not_fit_together_is_refused(conditioner):
    a = conditioner("a cat")
    with pytest.raises(ClipcondError, match="changes over the steps itself"):
        clipcond.schedule([(0.0, a), (0.5, conditioner("a [cat:dog:0.5]"))])
    with pytest.raises(ClipcondError, match="condition both prompts in one call"):
        clipcond.schedule([(0.0, a), (0.5, conditioner("a cat, " * 60))])
    other = Conditioner.from_pipeline(tiny.sdxl())("a cat")
    with pytest.raises(ClipcondError, match="make both with one Conditioner"):
        clipcond.schedule([(0.0, a), (0.5, other)])
