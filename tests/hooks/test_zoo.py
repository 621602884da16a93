"""Every pipeline that can be conditioned, with prompts that change over its steps and guidance by the step."""

import numpy as np
import pytest

import clipcond
from clipcond import Conditioner
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from tests.hooks.drawing import (
    Case,
    attached,
    by_hand,
    case,
    conditioned,
    draw,
    recorded,
    same,
    says,
)
from tests.zoo.support import SUPPORTED

CAT, CHANGING, NEVER = "a photo of a cat", "a photo of a [cat:fox:2]", "a photo of a [cat:fox:99]"
QUICK = {
    "ChromaPipeline",
    "HiDreamImagePipeline",
    "HunyuanVideoPipeline",
    "Kandinsky3Pipeline",
    "LTXPipeline",
    "PixArtSigmaPipeline",
    "StableCascadePriorPipeline",
    "StableDiffusionControlNetPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "WanPipeline",
}
# whose denoisers are handed no text that could change, and why
REFUSED = {
    "LEditsPPPipelineStableDiffusion": "its prompts are edits, whose texts it reads before the run",
    "StableAudioPipeline": "what its denoiser reads is made of the text before the run",
}
ALL = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in SUPPORTED
    if name not in REFUSED
]
pytestmark = pytest.mark.filterwarnings("ignore")


def negative_of(pipe, made: Case):
    """A negative prompt, where the pipeline takes one."""
    try:
        conditioned(pipe, made, CAT, "a dog").kwargs_for(pipe)
    except UnsupportedPipelineError:
        return None
    return "a dog"


@pytest.mark.parametrize("name", ALL)
def test_a_schedule_draws_what_its_states_draw_by_hand(name):
    made = case(name)
    pipe = made.build()
    negative = negative_of(pipe, made)
    changing = conditioned(pipe, made, CHANGING, negative)
    first, second = says(changing, 0).kwargs_for(pipe), says(changing, 1).kwargs_for(pipe)
    drawn = attached(made.build(), made, changing)
    assert same(drawn, by_hand(made.build, made.call, first, second, looks=2))
    plain = draw(made.build(), made.call(), **first)
    assert not same(drawn, plain)
    assert all(np.isfinite(array).all() for array in drawn)
    never = conditioned(pipe, made, NEVER, negative)
    assert never.is_dynamic
    assert same(attached(made.build(), made, never), plain)
