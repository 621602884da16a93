"""Every pipeline of the zoo of text encoders alone: its family is told by what its constructor asks for."""

import pytest
import torch

from clipcond import Conditioner
from tests.zoo import ZOO
from tests.zoo.support import SUPPORTED
from tests.zoo.test_conditioning import FIRST

NAMES = [
    name if FIRST[family] == name else pytest.param(name, marks=pytest.mark.slow)
    for name, family in SUPPORTED.items()
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_pipeline_of_encoders_alone_is_of_its_family(name):
    pipe = ZOO[name].build()
    family = Conditioner.from_pipeline(pipe).family
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module) and not name.startswith("text_encoder"):
            setattr(pipe, name, None)
    assert Conditioner.from_pipeline(pipe).family == family
