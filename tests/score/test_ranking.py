"""rerank: a permutation, best first, stable on ties, and never an order among NaNs."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import clipcond
from clipcond.errors import ScoreError
from clipcond.score import Scores
from clipcond.score.variants import VARIANTS


@dataclass(frozen=True)
class FixedScorer:
    """Says the numbers it was given: ranking is arithmetic on scores, whoever made them."""

    numbers: list[float]

    def score(self, images, prompts):
        values = torch.tensor(self.numbers, dtype=torch.float32)
        return Scores(
            values=values,
            truncated=torch.zeros(len(values), dtype=torch.bool),
            variant=VARIANTS["cosine"],
            provenance={"scorer": "fixed"},
        )


def images(n):
    return [Image.new("RGB", (2, 2), (i, 0, 0)) for i in range(n)]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.data())
def test_order_is_a_stable_sort_of_the_best(numbers, data):
    top_k = data.draw(st.none() | st.integers(1, len(numbers)))
    pictures = images(len(numbers))
    ranking = clipcond.rerank(
        pictures, "a cat", FixedScorer([float(n) for n in numbers]), top_k=top_k
    )
    expected = sorted(range(len(numbers)), key=lambda i: (-numbers[i], i))[:top_k]
    assert list(ranking.order) == expected
    assert ranking.scores.tolist() == [numbers[i] for i in expected]
    assert [id(image) for image in ranking.images] == [id(pictures[i]) for i in expected]


def test_nan_is_an_error_not_a_place():
    with pytest.raises(ScoreError, match=r"images\[1\] scored NaN \(1 of 3 did\)"):
        clipcond.rerank(images(3), "a cat", FixedScorer([0.1, float("nan"), 0.3]))


@pytest.mark.parametrize("top_k", [0, -1, 4, True])
def test_top_k_out_of_range_is_quoted(top_k):
    with pytest.raises(ScoreError, match=f"top_k: got {top_k}.*1 to 3"):
        clipcond.rerank(images(3), "a cat", FixedScorer([1.0, 2.0, 3.0]), top_k=top_k)


def test_rerank_stays_the_function_after_all_imports():
    import importlib
    import pkgutil

    for module in pkgutil.walk_packages(clipcond.__path__, "clipcond."):
        if not module.name.startswith("clipcond.emoji"):
            importlib.import_module(module.name)
    assert callable(clipcond.rerank)
    assert clipcond.rerank.__module__ == "clipcond.score.ranking"
