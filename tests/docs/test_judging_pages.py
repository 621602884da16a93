"""The pages on scoring and reranking: every Python block runs, in order, on the shipped model."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import clipcond
from clipcond import emoji
from clipcond.errors import HeldOutWarning
from tests.tiny import tiny_pipeline

ROOT = Path(clipcond.__file__).parents[1]


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


def names():
    """What the pages take as given."""
    scenes = [emoji.sample(seed) for seed in range(8)]
    images = [emoji.render(scene) for scene in scenes]
    rng = np.random.default_rng(0)
    return {
        "clipcond": clipcond,
        "torch": torch,
        "pictures": images[:4],
        "others": images[4:],
        "prompts": [emoji.caption(scene, 0) for scene in scenes[:4]],
        "many_prompts": [emoji.caption(emoji.sample(seed), 0) for seed in range(20, 40)],
        "selecting": rng.normal(size=(5, 8)),
        "quality": rng.normal(size=(5, 8)),
        "pipe": tiny_pipeline(),
    }


@pytest.mark.parametrize("page", ["docs/scoring.md", "weights/lab/templates/reranking.md"])
def test_every_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").symlink_to(ROOT / "weights")
    found = blocks(ROOT / page)
    assert len(found) >= 5
    scope = names()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeldOutWarning)
        for block in found:
            exec(compile(block, page, "exec"), scope)
    if page.startswith("weights"):
        assert len(scope["best"]) == 4
        assert scope["curve"].n == (1, 2, 4, 8)
