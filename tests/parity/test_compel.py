"""The compel mode against compel itself, on the same tiny encoder: twenty prompts, to 1e-5."""

import warnings

import pytest
import torch

from clipcond import Conditioner
from tests.tiny import tiny_pipeline

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    compel = pytest.importorskip("compel")

pytestmark = pytest.mark.parity

PROMPTS = [
    "a red cat",
    "",
    "a (red)1.3 cat",
    "a (red)0.7 cat",
    "a (red)1.3 cat and (blue)0.7 dog",
    "a red+ cat",
    "a red++ cat and blue- dog",
    "a (red cat)1.5 on the sky",
    "a (red cat)0.5 on the (sky)0.8",
    "(a red cat)0.3",
    "(cat)1.2 (dog)0.9 (fox)1.1 (ball)0.6",
    "(cat)0.9 (dog)0.9 (fox)0.9",
    "a (big red)1.4 ball, (small blue)0.4 circle, quality",
    "photo of a cat (wearing a hat)0.6",
    "(red)1.9 cat",
    "(red)0.05 cat",
    "one (two)0.25 three (four)1.75",
    "black-- background",
    "a (white)1.0 house",
    "((red)1.2 cat)0.8 on a hat",
]
PIPE = tiny_pipeline()


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compel.Compel(tokenizer=PIPE.tokenizer, text_encoder=PIPE.text_encoder)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.filterwarnings("ignore")
def test_twenty_prompts(theirs, prompt):
    ours = Conditioner.from_pipeline(PIPE, dialect="compel", weighting="compel")(prompt)
    torch.testing.assert_close(ours.prompt_embeds, theirs(prompt).detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "prompt", ['("a red cat", "a dog").blend(0.7, 0.3)', '("a red cat", "a (dog)1.3").blend(1, 1)']
)
@pytest.mark.filterwarnings("ignore")
def test_blends(theirs, prompt):
    ours = Conditioner.from_pipeline(PIPE, dialect="compel", weighting="compel")(prompt)
    torch.testing.assert_close(ours.prompt_embeds, theirs(prompt).detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "prompt", ['("a red cat", "a dog").and()', '("a cat", "a (dog)1.3").and(1, 0.5)']
)
@pytest.mark.filterwarnings("ignore")
def test_conjunctions(theirs, prompt):
    ours = Conditioner.from_pipeline(PIPE, dialect="compel", weighting="compel")(prompt)
    torch.testing.assert_close(ours.prompt_embeds, theirs(prompt).detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("prompts", "calls", "rows"),
    [
        ("a (red)1.3 ball and (blue)0.7 cube", 1, 3),
        (["a (red)1.3 ball and (blue)0.7 cube"] * 4, 1, 3),
    ],
)
def test_one_call_where_compel_needs_three_and_nine(prompts, calls, rows):
    """Rows: the prompt, the prompt without "blue", and the empty one, which is the negative prompt as well."""
    stats = Conditioner.from_pipeline(PIPE, dialect="compel", weighting="compel")(prompts).stats
    assert (stats.calls, stats.rows) == (calls, rows)


def test_four_windows_with_six_down_weights_are_one_call():
    """Ten rows, where compel encodes 28 times, and the empty one, which is the negative prompt as well."""
    prompt = "a (red:0.5) (blue:0.6) (green:0.7) BREAK cat BREAK dog BREAK a (sky:0.4) (hat:0.3) (car:0.2)"
    stats = Conditioner.from_pipeline(PIPE, weighting="compel")(prompt).stats
    assert (stats.calls, stats.rows) == (1, 10 + 1)
