"""Every pipeline of the zoo lives: it takes a plain prompt and gives finite numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.zoo import REFUSED, ZOO

SLOW = {"AnyFlowFARPipeline"}
EVERY = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in sorted(ZOO)
]


def finite(value: Any) -> bool:
    """Whether `value`, in whatever nest a pipeline returns it, holds numbers, all of them finite."""
    if isinstance(value, torch.Tensor):
        return value.numel() > 0 and bool(torch.isfinite(value).all())
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(finite, value))
    return bool(np.isfinite(np.asarray(value)).all())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.filterwarnings("ignore")
def test_it_runs_on_a_plain_prompt(name: str) -> None:
    entry = ZOO[name]
    if entry.needs:
        pytest.importorskip(entry.needs)
    pipe = entry.build()
    assert type(pipe).__name__ == name
    assert finite(pipe(**{entry.prompt: "a photo of a cat"}, **entry.call())[0])


@pytest.mark.parametrize("name", sorted(name for name in ZOO if ZOO[name].needs))
@pytest.mark.filterwarnings("ignore")
def test_it_runs_on_embeddings_where_a_string_needs_a_package(name: str) -> None:
    entry = ZOO[name]
    text = torch.randn(1, 16, 32, generator=torch.Generator().manual_seed(0))
    pipe = entry.build()
    given = dict(prompt=None, prompt_embeds=text, negative_prompt_embeds=text)
    assert finite(pipe(**given, **entry.call())[0])


def test_no_class_is_both_run_and_refused() -> None:
    assert not set(ZOO) & set(REFUSED)
