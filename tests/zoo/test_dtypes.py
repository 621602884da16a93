"""Every pipeline of the zoo with its text encoders in half precision and the rest in float32: it draws from tensors."""

import numpy as np
import pytest
import torch

from clipcond import Conditioner
from clipcond.errors import UnsupportedPipelineError
from tests.zoo import ZOO
from tests.zoo.support import SUPPORTED
from tests.zoo.test_conditioning import FIRST, NEGATIVE, PROMPT, WITHOUT_NEGATIVE, conditioned, draw

# whose denoisers are given what the text encoder makes of a picture, or noise, in the encoder's dtype: strings fail as well
OWN_DTYPE = {
    "MotifVideoImage2VideoPipeline",
    "EasyAnimatePipeline",
    "EasyAnimateInpaintPipeline",
}
CAST = (
    "Stable Diffusion 1 and 2",
    "Stable Diffusion XL",
    "Stable Cascade prior",
    "DeepFloyd IF",
    "PixArt",
    "AuraFlow",
)
NAMES = [
    name if FIRST[family] == name and family in CAST else pytest.param(name, marks=pytest.mark.slow)
    for name, family in SUPPORTED.items()
    if name not in OWN_DTYPE
]


def half(pipe):
    for name, part in pipe.components.items():
        if name.startswith("text_encoder") and part is not None:
            part.to(torch.float16)
    return pipe


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.pitfall(40)
@pytest.mark.filterwarnings("ignore")
def test_encoders_in_half_precision_draw(name):
    pipe, entry = half(ZOO[name].build()), ZOO[name]
    conditioner, call = Conditioner.from_pipeline(pipe), entry.call()
    negative = {} if name in WITHOUT_NEGATIVE else {"negative_prompt": NEGATIVE}
    try:
        kwargs = conditioned(conditioner, call, PROMPT, **negative).kwargs_for(pipe)
    except UnsupportedPipelineError:  # one that takes no negative prompt says so
        kwargs = conditioned(conditioner, call, PROMPT).kwargs_for(pipe)
    assert all(np.isfinite(array).all() for array in draw(pipe, call, **kwargs))
