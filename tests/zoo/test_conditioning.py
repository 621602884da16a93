"""Every pipeline of the zoo, conditioned: what `kwargs_for` gives draws what plain strings draw, or the class is refused."""

import diffusers
import numpy as np
import pytest
import torch

from clipcond import Conditioner
from clipcond.errors import PromptTooLongError, UnsupportedPipelineError
from tests.zoo import ZOO
from tests.zoo.page import PAGE, page
from tests.zoo.support import SUPPORTED, UNSUPPORTED

PROMPT, NEGATIVE = "a photo of a cat", "a dog"
TOLERANCE = 1e-4  # for Bria, which encodes without padding, and Kandinsky 6, whose call takes no mask; the others are equal
WITHOUT_NEGATIVE = {
    "AnyFlowPipeline",
    "AnyFlowFARPipeline",
    "Flux2KleinPipeline",
    "Flux2KleinInpaintPipeline",
}  # by default they draw without guidance, and read it all the same; Flux.2 Klein's calls take none as a string
CLEANED = {"PRXPipeline"}  # by ftfy, without which it takes no prompt
FIRST = {family: name for name, family in reversed(SUPPORTED.items())}  # one of each in `make test`
POOLED_ONLY = {
    "Stable Cascade decoder"
}  # the first window's vector, on which weights do not act by default
SUPPORTED_HERE = [
    name if FIRST[family] == name else pytest.param(name, marks=pytest.mark.slow)
    for name, family in SUPPORTED.items()
]


def arrays(value):
    if isinstance(value, torch.Tensor):
        return [value.float().numpy()]
    if isinstance(value, list | tuple):
        return [array for part in value for array in arrays(part)]
    return [np.asarray(value, np.float32)]


def draw(pipe, call, **prompts):
    torch.manual_seed(0)
    if "negative_prompt_embeds" in prompts:  # without a text EasyAnimate takes no strings
        call = {name: value for name, value in call.items() if name != "negative_prompt"}
    with torch.no_grad():
        return arrays(pipe(**{**call, **prompts})[0])


def conditioned(conditioner, call, prompt, **options):
    length = call.get("max_sequence_length")
    if length and conditioner.family.t5_length:
        options["max_sequence_length"] = length
    if conditioner.family.sees:
        options["image"] = call["image"]
    return conditioner(prompt, **options)


@pytest.mark.parametrize("name", SUPPORTED_HERE)
@pytest.mark.pitfall(13, 21, 22, 30)
@pytest.mark.filterwarnings("ignore")
def test_it_draws_what_strings_draw(name):
    entry = ZOO[name]
    if name in CLEANED:
        pytest.importorskip("ftfy")
    pipe = entry.build()
    conditioner = Conditioner.from_pipeline(pipe)
    assert conditioner.family.name == SUPPORTED[name]
    call, negative = entry.call(), {"negative_prompt": NEGATIVE}
    if name in WITHOUT_NEGATIVE:
        negative = {}
    try:
        kwargs = conditioned(conditioner, call, PROMPT, **negative).kwargs_for(pipe)
    except UnsupportedPipelineError:  # one that takes no negative prompt says so
        kwargs, negative = conditioned(conditioner, call, PROMPT).kwargs_for(pipe), {}
    ours = draw(pipe, call, **kwargs)
    if entry.needs:
        pytest.importorskip(entry.needs)
    own = draw(entry.build(), entry.call(), **{entry.prompt: PROMPT}, **negative)
    assert all(np.abs(a - b).max() <= TOLERANCE for a, b in zip(ours, own, strict=True))


@pytest.mark.parametrize(
    "name", sorted(FIRST[family] for family in FIRST if family not in POOLED_ONLY)
)
@pytest.mark.pitfall(34)
@pytest.mark.filterwarnings("ignore")
def test_weights_and_long_prompts_reach_the_picture(name):
    if name in CLEANED:
        pytest.importorskip("ftfy")
    pipe, call = ZOO[name].build(), ZOO[name].call()
    conditioner = Conditioner.from_pipeline(pipe)
    plain = draw(pipe, call, **conditioned(conditioner, call, "a red cat").kwargs_for(pipe))
    for text in ("a (red:1.5) cat", "a red cat, " * 40):
        if conditioner.family.fixed and len(text) > 100:
            with pytest.raises(PromptTooLongError, match="Shorten it"):
                conditioned(conditioner, call, text)
            continue
        kwargs = conditioned(conditioner, call, text).kwargs_for(pipe)
        other = draw(ZOO[name].build(), ZOO[name].call(), **kwargs)
        assert all(np.isfinite(array).all() for array in other)
        assert any(not np.array_equal(a, b) for a, b in zip(plain, other, strict=True))


@pytest.mark.parametrize("name", sorted(set(ZOO) - set(SUPPORTED)))
@pytest.mark.filterwarnings("ignore")
def test_the_others_are_refused_in_one_line(name):
    with pytest.raises(UnsupportedPipelineError, match=name) as raised:
        Conditioner.from_pipeline(ZOO[name].build())
    assert "\n" not in str(raised.value)


def test_the_page_lists_every_class():
    assert set(SUPPORTED) <= set(ZOO)
    assert set(SUPPORTED) | set(UNSUPPORTED) == set(ZOO) | set(UNSUPPORTED)
    assert not set(SUPPORTED) & set(UNSUPPORTED)
    assert (len(SUPPORTED), len(UNSUPPORTED)) == (181, 47)
    for name in (*SUPPORTED, *UNSUPPORTED):
        assert hasattr(diffusers, name)
    assert PAGE.read_text(encoding="utf-8") == page()
