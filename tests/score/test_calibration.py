"""Calibration and clauses: the place among other texts, every word covered, and the missing part found."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond import emoji
from clipcond.errors import ScoreError
from clipcond.score import calibrate, split_clauses
from tests.score.test_measures import pictures

NULL = ["a car", "a house and a sky", "two circles", "white background, big hat", "photo"]


def test_z_and_percentile_are_of_the_other_prompts(scorer):
    prompts = ["a cat", "a dog", "a fox", "two hearts"]
    found = calibrate(scorer, pictures(4), prompts)
    similarity = scorer.similarity(pictures(4), prompts)
    for i in range(4):
        others = similarity[i, [j for j in range(4) if j != i]]
        z = (similarity[i, i] - others.mean()) / others.std()
        assert found.z[i] == pytest.approx(z.item(), rel=1e-3, abs=1e-3)
        assert found.percentile[i] == pytest.approx(
            100 * (others < similarity[i, i]).float().mean()
        )
    assert found.null_size == (3,) * 4


def test_a_given_null_passes_over_the_own_text(scorer):
    found = calibrate(scorer, pictures(2), "a car", NULL)
    assert found.null_size == (4, 4)
    with pytest.raises(ScoreError, match="got 1 texts other than 'a cat'"):
        calibrate(scorer, pictures(2), ["a cat", "a dog"])


def test_matching_pairs_stand_out_and_shuffled_ones_do_not(shipped):
    scenes = [emoji.sample(seed) for seed in range(40)]
    images, texts = [emoji.render(s) for s in scenes], [emoji.caption(s, 0) for s in scenes]
    matching = calibrate(shipped, images, texts)
    shuffled = calibrate(shipped, images, texts[1:] + texts[:1], texts)
    assert matching.percentile.median() >= 95
    assert abs(shuffled.z.mean()) < 0.5
    assert matching.z.mean() > shuffled.z.mean() + 1.5


@given(st.text(alphabet="ab ,.;\nandwith", max_size=60))
def test_clauses_are_the_prompts_own_words(prompt):
    clauses = split_clauses(prompt)
    for clause in clauses:
        assert prompt[clause.start : clause.end] == clause.text == clause.text.strip() != ""
    assert all(a.end <= b.start for a, b in itertools.pairwise(clauses))


def test_what_clauses_leave_out_is_only_boundaries():
    prompt = "A red fox, and a blue ball with two hearts; sandy withers.\nsky"
    assert [c.text for c in split_clauses(prompt)] == [
        "A red fox", "a blue ball", "two hearts", "sandy withers", "sky",
    ]  # fmt: skip


def test_no_clause_is_cut_however_long(scorer):
    words = "a red cat on a blue house " * 40
    table = scorer.clauses(pictures(1)[0], f"a dog, {words}", NULL)
    assert not any(row.truncated for row in table.rows)
    assert " ".join(row.clause.text for row in table.rows).split() == f"a dog {words}".split()
    giant = scorer.clauses(pictures(1)[0], "x" * 500, NULL)
    assert [row.truncated for row in giant.rows] == [True]


def test_the_missing_part_is_named(shipped):
    null = [emoji.caption(emoji.sample(seed), 0) for seed in range(60)]
    found, tables = {"there": [], "missing": []}, []
    for seed in range(200):
        scene = emoji.sample(1000 + seed)
        if len({item.sprite for item in scene.items}) != 2 or len(scene.items) != 2:
            continue
        a, b = (item.sprite for item in scene.items)
        image = emoji.render(emoji.Scene(scene.background, scene.items[:1]))
        table = shipped.clauses(image, f"a {a} and a {b}", null)
        tables.append(table)
        for key, row in zip(("there", "missing"), table.rows, strict=True):
            found[key].append(row)
    assert len(found["there"]) > 40
    told = [m.z < t.z for t, m in zip(found["there"], found["missing"], strict=True)]
    assert sum(told) / len(told) > 0.9
    assert sum(row.missing for row in found["missing"]) / len(told) > 0.7
    assert sum(row.missing for row in found["there"]) / len(told) < 0.1
    assert all(("<- missing?" in str(table)) == bool(table.missing) for table in tables)
    for table in tables:
        assert set(table.missing) == {row.clause for row in table.rows if row.missing}


def test_complaints_quote_what_came(scorer):
    with pytest.raises(ScoreError, match="prompt: got ' , and '"):
        scorer.clauses(pictures(1)[0], " , and ", NULL)
    with pytest.raises(ScoreError, match="null: got 1 clauses"):
        scorer.clauses(pictures(1)[0], "a cat", ["a cat", "dog"])
    assert torch.is_tensor(calibrate(scorer, pictures(1), "a cat", NULL).z)
