"""A pipeline that is called with strings, and gains the prompt language."""

import pytest
import torch

from clipcond import Conditioner
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from tests import doubles as tiny

OPTIONS = {"num_inference_steps": 3, "output_type": "latent", "height": 32, "width": 32}
FAMILIES = ["sd1", "sdxl", "sd3", "flux"]


def draw(pipe, *args, **kwargs):
    torch.manual_seed(0)
    return pipe(*args, **kwargs, **OPTIONS).images


def attached(pipe, conditioning, **more):
    with conditioning.attached(pipe):
        return draw(pipe, **conditioning.kwargs_for(pipe, **more))


@pytest.mark.parametrize("name", FAMILIES)
def test_strings_say_what_conditionings_say(name):
    pipe = tiny.BUILDERS[name]()
    conditioner = Conditioner.from_pipeline(pipe)
    negative = {} if name == "flux" else {"negative_prompt": "(bad:1.3) quality"}
    plain = draw(pipe, "a red cat")
    said = {
        text: attached(pipe, conditioner(text, **negative))
        for text in ("a (red:1.4) cat", "a red [cat:dog:0.5]")
    }
    kind = type(pipe)
    with conditioner.installed(pipe):
        assert torch.equal(draw(pipe, "a red cat"), plain)
        for text, picture in said.items():
            assert torch.equal(draw(pipe, text, **negative), picture)
    assert type(pipe) is kind
    assert torch.equal(draw(pipe, "a red cat"), plain)


def test_lists_and_pictures_of_each():
    pipe = tiny.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    texts, negatives = ["a (red:1.4) cat", "a [cat|dog]"], ["bad", "[bad:dog:0.5]"]
    ours = attached(pipe, conditioner(texts, negative_prompt=negatives), num_images_per_prompt=2)
    with conditioner.installed(pipe):
        theirs = draw(pipe, texts, negative_prompt=negatives, num_images_per_prompt=2)
    assert len(theirs) == 4
    assert torch.equal(ours, theirs)


def test_what_is_too_long_for_the_pipeline_is_read_whole():
    pipe = tiny.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    long = "a red cat and a blue dog, " * 15
    with conditioner.installed(pipe):
        theirs = draw(pipe, long)
    assert torch.equal(theirs, attached(pipe, conditioner(long)))
    assert not torch.equal(theirs, draw(pipe, long))


def test_composition_needs_guidance_as_it_does_elsewhere():
    pipe = tiny.sd1()
    with Conditioner.from_pipeline(pipe).installed(pipe):
        assert draw(pipe, "a cat AND a red hat :0.5").isfinite().all()
        with pytest.raises(ClipcondError, match="AND composes"):
            draw(pipe, "a cat AND a red hat :0.5", guidance_scale=1.0)
        assert draw(pipe, "a cat").isfinite().all()


def test_embeddings_are_left_alone():
    pipe = tiny.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    kwargs = conditioner("a (red:1.4) cat").kwargs_for(pipe)
    plain = draw(pipe, **kwargs)
    with conditioner.installed(pipe):
        assert torch.equal(draw(pipe, **kwargs), plain)


def test_the_calls_own_clip_skip():
    pipe = tiny.sd1()
    skipping = Conditioner.from_pipeline(pipe, clip_skip=1)
    ours = attached(pipe, skipping("a (red:1.4) cat"))
    with Conditioner.from_pipeline(pipe).installed(pipe):
        assert torch.equal(draw(pipe, "a (red:1.4) cat", clip_skip=1), ours)


def test_more_steps_than_are_encoded_for_by_default():
    pipe = tiny.sd1()
    pipe.unet.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(InterruptedError))
    with Conditioner.from_pipeline(pipe).installed(pipe), pytest.raises(InterruptedError):
        pipe("a [cat:dog:170]", num_inference_steps=200)


def test_only_one_is_installed_and_only_where_it_fits():
    pipe, other = tiny.sd1(), tiny.sdxl()
    conditioner = Conditioner.from_pipeline(pipe)
    kind = type(pipe)
    with (
        pytest.raises(UnsupportedPipelineError, match=r"from_pipeline\(pipe\)"),
        conditioner.installed(other),
    ):
        pass
    with (
        conditioner.installed(pipe),
        pytest.raises(ClipcondError, match="installed"),
        conditioner.installed(pipe),
    ):
        pass
    with pytest.raises(ZeroDivisionError), conditioner.installed(pipe):
        raise ZeroDivisionError
    assert type(pipe) is kind
