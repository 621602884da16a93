"""Scores: mean, interval, joining and comparing, and the refusal where they were made differently."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ScoreError
from clipcond.score import ClipScorer, Scores, compare, join
from clipcond.score.provenance import require_same
from clipcond.score.variants import VARIANTS
from tests.score.test_measures import pictures
from tests.tiny import save_tiny_clip


def scores(values, prompts=None, **provenance):
    return Scores(
        values=torch.tensor(values, dtype=torch.float32),
        truncated=torch.zeros(len(values), dtype=torch.bool),
        variant=VARIANTS[provenance.pop("variant", "cosine")],
        provenance={"scorer": "a", "dtype": "float32", "versions": {"torch": "2"}, **provenance},
        prompts=tuple(prompts or ()),
    )


def test_the_interval_is_over_prompts():
    few = scores([0.0, 0.0, 1.0, 1.0, 0.5, 0.5], ["a", "a", "b", "b", "c", "c"])
    assert few.interval().clusters == 3
    one = scores([0.0, 0.2, 0.4], ["a"] * 3)
    assert one.interval().clusters == 3, "of one prompt: over its pictures"
    clamped = scores([-1.0, -2.0, 0.1], variant="torchmetrics").interval()
    assert (clamped.mean, clamped.low) == (0.0, 0.0)
    assert clamped.high >= 0


@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_joining_is_concatenation(parts):
    joined = join([scores(part, ["p"] * len(part)) for part in parts])
    assert joined.values.tolist() == [v for part in parts for v in part]
    assert len(joined) == len(joined.prompts) == len(joined.truncated)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"dtype": "bfloat16"}, "dtype is float32 and bfloat16"),
        ({"versions": {"torch": "3"}}, "versions.torch is 2 and 3"),
        ({"crop": "pad"}, "crop is nothing and pad"),
        ({"scorer": "b"}, "scorer is a and b"),
    ],
)
def test_scores_made_differently_do_not_mix(other, named):
    for action, word in ((compare, "compared"), (lambda a, b: join([a, b]), "joined")):
        with pytest.raises(ScoreError, match=f"cannot be {word}: {named}"):
            action(scores([1.0, 2.0]), scores([1.0, 2.0], **other))


def test_the_same_weights_under_two_names_are_the_same():
    require_same(
        [{"scorer": "a", "weights_sha256": "x"}, {"scorer": "b", "weights_sha256": "x"}],
        action="joined",
    )


def test_real_scorers_of_other_weights_variants_and_dtypes_do_not_mix(folder, tmp_path):
    scorer = ClipScorer.from_pretrained(folder)
    mine = scorer.score(pictures(2), ["a cat", "a dog"])
    other = ClipScorer.from_pretrained(save_tiny_clip(tmp_path / "other", seed=1))
    with pytest.raises(ScoreError, match=r"weights_sha256 is \w{12}\.\.\. and \w{12}"):
        compare(mine, other.score(pictures(2), ["a cat", "a dog"]))
    half = ClipScorer.from_pretrained(folder, dtype=torch.bfloat16)
    with pytest.raises(ScoreError, match="dtype is float32 and bfloat16"):
        compare(mine, half.score(pictures(2), ["a cat", "a dog"]))
    with pytest.raises(ScoreError, match=r"variant\.name is cosine and torchmetrics"):
        compare(mine, scorer.score(pictures(2), ["a cat", "a dog"], variant="torchmetrics"))


def test_comparing_is_paired_by_prompt():
    prompts = [p for p in "abcdef" for _ in range(2)]
    low = [0.1, 0.2, 0.5, 0.6, 0.3, 0.2, 0.8, 0.9, 0.4, 0.4, 0.0, 0.1]
    found = compare(scores([v + 0.1 for v in low], prompts), scores(low, prompts))
    assert found.difference.mean == pytest.approx(0.1)
    assert found.difference.clusters == 6
    assert found.p_value == pytest.approx(2 / 2**6)
    with pytest.raises(ScoreError, match="not the same in the same order"):
        compare(scores(low, prompts), scores(low, prompts[::-1]))


def test_nothing_cannot_be_joined():
    with pytest.raises(ScoreError, match="scores: got none"):
        join([])
