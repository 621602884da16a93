"""The different things that a prompt says over a run, each once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt import parse, states
from tests.prompt.texts import texts_of

SCHEDULES = texts_of(
    ["a", " ", "(b:1.2)", "[c:d:0.5]", "[e:f:3]", "[g|h]", "[i::0.2]", "[[j|k]:l:4]", "[m|[n:2]]"],
    most=4,
)


def distinct(prompt, steps):
    """The states of one prompt read alone."""
    return [state for (state,) in states.distinct([prompt], steps)]


def heard(fragments):
    return tuple((f.text, f.weight) for f in fragments)


def said(text, steps):
    prompt = parse(text)
    return [heard(prompt.fragments(step, steps)) for step in range(steps)]


@pytest.mark.parametrize(
    ("text", "steps", "texts"),
    [
        ("a cat", 20, ["a cat"]),
        ("", 20, [""]),
        ("[a:b:0.5]", 20, ["a", "b"]),
        ("[a:b:0.5]", 1, ["b"]),
        ("[a:b:30]", 20, ["a"]),
        ("[a:b:30]", None, ["a", "b"]),
        ("[a:b:1000]", None, ["a"]),
        ("[a|b|a]", None, ["a", "b"]),
        ("[a|b|c]", 2, ["a", "b"]),
        ("[a:[b|c]:2]", 9, ["a", "b", "c"]),
        ("[a:(a:1.0):5] b", None, ["a b"]),
    ],
)
def test_states(text, steps, texts):
    found = distinct(parse(text), steps)
    assert ["".join(f.text for f in fragments) for fragments in found] == texts


def test_weights_part_what_reads_the_same():
    found = distinct(parse("[a:(a:1.3):0.5]"), 20)
    assert [heard(fragments) for fragments in found] == [(("a", 1.0),), (("a", 1.3),)]
    assert [fragments[0].span for fragments in found] == [(1, 2), (4, 5)]


@given(SCHEDULES, st.integers(1, 12))
def test_each_thing_once_in_the_order_of_the_steps(text, steps):
    assert [heard(f) for f in distinct(parse(text), steps)] == list(
        dict.fromkeys(said(text, steps))
    )


@pytest.mark.parametrize(
    "text",
    ["[a:b:0.5] [c:d:7] [e:f:0.3]", "[a|b] [c:(d:1.2):0.25]", "[a:only one step:0.6] [of one:d:1]"],
)
def test_without_a_number_of_steps_nothing_of_any_run_is_missing(text, monkeypatch):
    monkeypatch.setattr(states, "LONGEST", 12)
    found = [heard(f) for f in distinct(parse(text), None)]
    assert len(found) == len(set(found))
    assert set(found) == {thing for run in range(1, 13) for thing in said(text, run)}
    assert found[0] == said(text, 12)[0]


def test_branches_are_asked_one_by_one():
    prompt = parse("[a:b:3] AND c")
    with pytest.raises(ClipcondError, match="2 branches"):
        distinct(prompt, 20)
    assert [len(distinct(branch, 20)) for branch, _ in prompt.branches] == [2, 1]


def test_a_run_has_steps():
    for text in ("a", "[a:b:3]"):
        with pytest.raises(ValueError, match="0 steps"):
            distinct(parse(text), 0)


def test_weights_that_meet_only_at_a_step_are_an_error():
    big = "9" * 200
    with pytest.raises(PromptSyntaxError, match="multiply to more"):
        distinct(parse(f"([x|(a:{big})|y]:{big})"), 3)


def test_prompts_that_are_read_together_change_together():
    found = states.distinct([parse("[a:b:0.5]"), parse("[c:d:0.25]")], 8)
    assert [states.said(state) for state in found] == [
        ((("a", 1.0),), (("c", 1.0),)),
        ((("a", 1.0),), (("d", 1.0),)),
        ((("b", 1.0),), (("d", 1.0),)),
    ]
