"""Every pipeline of the zoo lives: it takes a plain prompt and gives finite numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.zoo import REFUSED, ZOO


def finite(value: Any) -> bool:
    """Whether `value`, in whatever nest a pipeline returns it, holds numbers, all of them finite."""
    if isinstance(value, torch.Tensor):
        return value.numel() > 0 and bool(torch.isfinite(value).all())
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(finite, value))
    return bool(np.isfinite(np.asarray(value)).all())


@pytest.mark.parametrize("name", sorted(ZOO))
@pytest.mark.filterwarnings("ignore")
def test_it_runs_on_a_plain_prompt(name: str) -> None:
    entry = ZOO[name]
    pipe = entry.build()
    assert type(pipe).__name__ == name
    assert finite(pipe(**{entry.prompt: "a photo of a cat"}, **entry.call())[0])


def test_no_class_is_both_run_and_refused() -> None:
    assert not set(ZOO) & set(REFUSED)
