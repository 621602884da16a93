"""Each family whose prompt a language model reads alone: prompts of several lengths together, several pictures, no negative prompt."""

import copy
import inspect

import numpy as np
import pytest

from clipcond import Conditioner
from clipcond.families.finding import family_named
from tests.zoo import ZOO
from tests.zoo.test_conditioning import FIRST, TOLERANCE, conditioned, draw

UNEQUAL = ["a photo of a cat", "two red dogs and a cat on a hat"]
READ_ALONE = [
    name
    for family, name in FIRST.items()
    if all(role.template for role in family_named(family).roles)
]
QUICK = {"QwenImagePipeline", "ZImagePipeline", "SanaPipeline", "CogView4Pipeline"}
NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in READ_ALONE]
ONE_BY_ONE = {
    "PRXPixelPipeline": "where it guides it repeats a timestep of two as four",
    "EasyAnimatePipeline": "a negative prompt that is a string is one row, and it has no default",
    "QwenImageEditPipeline": "it wants a picture for each prompt, and then takes the size of none",
    "QwenImageEditPlusPipeline": "pictures are those of one prompt",
}
VIDEOS = "num_videos_per_prompt"
ALONE = {"EasyAnimatePipeline"}  # a call without a negative prompt fails, guided
pytestmark = pytest.mark.filterwarnings("ignore")


def distance(one, other):
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def both(name, prompts, **options):
    """What is drawn by tensors, and by strings."""
    entry, pipe = ZOO[name], ZOO[name].build()
    if entry.needs:
        pytest.importorskip(entry.needs)
    conditioning = conditioned(Conditioner.from_pipeline(pipe), entry.call(), prompts)
    pictures = next(iter(options.values()), 1)
    ours = draw(pipe, entry.call(), **conditioning.kwargs_for(pipe, num_images_per_prompt=pictures))
    # Z-Image's pipelines write their template into the list that they are given
    given = {entry.prompt: copy.copy(prompts)}
    return ours, draw(entry.build(), entry.call(), **given, **options)


@pytest.mark.parametrize("name", [n for n in NAMES if getattr(n, "values", (n,))[0] not in ONE_BY_ONE])  # fmt: skip
@pytest.mark.pitfall(44, 45)
def test_prompts_of_several_lengths_draw_together_what_strings_draw(name):
    assert distance(*both(name, UNEQUAL)) <= TOLERANCE


@pytest.mark.parametrize("name", [n for n in NAMES if getattr(n, "values", (n,))[0] not in ALONE])
def test_without_a_negative_prompt_it_draws_what_strings_draw(name):
    assert distance(*both(name, "a photo of a cat")) <= TOLERANCE


@pytest.mark.parametrize("name", [n for n in NAMES if getattr(n, "values", (n,))[0] not in ALONE | set(ONE_BY_ONE)])  # fmt: skip
def test_two_pictures_of_a_prompt_are_those_of_strings(name):
    takes = inspect.signature(type(ZOO[name].build()).__call__).parameters
    count = VIDEOS if VIDEOS in takes else "num_images_per_prompt"
    assert distance(*both(name, "a photo of a cat", **{count: 2})) <= TOLERANCE
