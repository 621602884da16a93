"""Every pipeline of the zoo with its text encoders in half precision and the rest in float32: it draws from tensors."""

import numpy as np
import pytest
import torch

from clipcond import Conditioner
from clipcond.errors import UnsupportedPipelineError
from tests.zoo import ZOO
from tests.zoo.support import SUPPORTED
from tests.zoo.test_conditioning import FIRST, NEGATIVE, PROMPT, WITHOUT_NEGATIVE, conditioned, draw

# diffusers gives its denoiser what the text encoder's picture tower makes of the picture, in the encoder's dtype
OWN_PICTURES = {"MotifVideoImage2VideoPipeline"}
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
    if name not in OWN_PICTURES
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
