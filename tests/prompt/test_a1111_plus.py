"""The dialect a1111+: a1111 with keywords that say how a branch is composed."""

import pytest
from hypothesis import given

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import parse, render
from tests.cases import cases
from tests.prompt.texts import texts_of

CASES = cases("prompts")
PROMPTS = [case["prompt"] for kind in ("weights", "schedules", "and") for case in CASES[kind]]
PIECES = texts_of(
    ["a", " ", "(b:1.2)", ":2", " AND ", " AND_PERP ", "AND_SALT", " AND_TOPK", "[c:d:3]", "_", "["]
)


def plus(text):
    return parse(text, "a1111+")


def notes(text, dialect="a1111+"):
    return [(text[slice(*note.span)], note.message) for note in parse(text, dialect).diagnostics]


@pytest.mark.parametrize(
    ("text", "operators", "branches"),
    [
        ("a", ["AND"], [("a", 1.0)]),
        ("a AND_PERP b :-1", ["AND", "AND_PERP"], [("a", 1.0), (" b", -1.0)]),
        (
            "a :.5 AND_SALT b AND c :2 AND_TOPK d",
            ["AND", "AND_SALT", "AND", "AND_TOPK"],
            [("a", 0.5), (" b", 1.0), (" c", 2.0), (" d", 1.0)],
        ),
        ("AND_PERP b", ["AND", "AND_PERP"], [("", 1.0), (" b", 1.0)]),
        ("a,AND_PERP,b", ["AND", "AND_PERP"], [("a,", 1.0), (",b", 1.0)]),
        ("a AND_PERPS b", ["AND"], [("a AND_PERPS b", 1.0)]),
        ("a BAND_PERP AND_PERP_ b", ["AND"], [("a BAND_PERP AND_PERP_ b", 1.0)]),
        ("<lora:x:1>a AND_PERP b # AND_SALT", ["AND", "AND_PERP"], [("<lora:x:1>a", 1.0), (" b", 1.0)]),
    ],
)  # fmt: skip
def test_keywords_divide(text, operators, branches):
    prompt = plus(text)
    assert list(prompt.operators) == operators
    assert [(branch.text, weight) for branch, weight in prompt.branches] == branches
    assert prompt.joined == ("compose" if len(operators) > 1 else "")
    assert prompt.without_tags.operators == prompt.operators


@pytest.mark.parametrize("text", PROMPTS)
def test_without_the_keywords_it_is_a1111(text):
    prompt = plus(text)
    assert prompt == parse(text)
    assert prompt.diagnostics == parse(text).diagnostics
    assert prompt.dialect == "a1111+"
    assert prompt.operators == ("AND",) * len(prompt.branches)
    assert {branch.dialect for branch, _ in prompt.branches} == {"a1111+"}


def test_other_dialects_only_join():
    assert parse("a AND b").operators == ("AND", "AND")
    assert parse('("a", "b").blend(1, 1)', "compel").operators == ("AND", "AND")
    assert parse("a", "plain").operators == ("AND",)


def test_the_operator_is_part_of_the_meaning():
    assert plus("a  AND_PERP b") != plus("a AND b")
    assert plus("a AND_PERP b") != plus("a AND_SALT b")
    assert plus("a AND_PERP (b)") == plus("a   AND_PERP (b:1.1) :1")


@given(PIECES)
def test_the_keywords_are_between_the_branches(text):
    try:
        prompt = plus(text)
    except PromptSyntaxError:
        return
    assert len(prompt.operators) == len(prompt.branches)
    assert text.count("AND_PERP") >= prompt.operators.count("AND_PERP")
    assert parse(render(prompt), "a1111+").operators == prompt.operators


@pytest.mark.parametrize("dialect", ["a1111", "comfy", "compel"])
def test_elsewhere_the_keywords_are_words_and_noted(dialect):
    text = "a fox AND_PERP b"
    prompt = parse(text, dialect)
    assert "".join(segment.text for segment in prompt.segments()) == text
    (note,) = prompt.diagnostics
    assert text[slice(*note.span)] == "AND_PERP"
    assert 'dialect="a1111+"' in note.hint
    assert "words here" in note.message


@pytest.mark.parametrize(
    ("text", "pointed", "message"),
    [
        ("a AND_PREP b", "AND_PREP", "no operator"),
        ("a and_salt b", "and_salt", "no operator"),
        ("a AND PERP b", "AND PERP", "no operator"),
        ("a AND-TOPK b", "AND-TOPK", "no operator"),
        ("a AND_PERP [b AND_SALT c] :2", "AND_PERP [b AND_SALT", "do not nest"),
        ("a AND_PERP b:1.2)", ":1.2)", "closes no bracket"),
    ],
)
def test_what_is_nearly_a_keyword(text, pointed, message):
    (own,) = [said for at, said in notes(text) if at == pointed]
    assert message in own


@pytest.mark.parametrize(
    "text",
    [
        "a (b):0.5 AND_PERP (c) :-1",
        "salt and pepper, fish AND salt, sand_perp",
        "a AND_PERP [b:c:3] AND_SALT [d]",
    ],
)
def test_no_false_alarms(text):
    assert notes(text) == []


def test_errors_point_at_their_branch():
    with pytest.raises(PromptSyntaxError, match="branch's weight") as raised:
        plus("a AND_PERP b:" + "9" * 400)
    assert raised.value.span == (13, 413)


def test_a_repr_tells_operators_and_schedules():
    assert repr(plus("a [b:c:0.5] AND_PERP d :-1")).splitlines() == [
        "Prompt(a1111+: 'a [b:c:0.5] AND_PERP d :-1'",
        "  AND      1        'a [b:c:0.5]'",
        "   1-10 of 20: 'a b'",
        "  11-20 of 20: 'a c'",
        "  AND_PERP -1       ' d')",
    ]
    assert repr(plus("[a|b]")).splitlines()[2:] == [
        "      1 of 20: 'a'",
        "      2 of 20: 'b'",
        "      3 of 20: 'a'",
        "      4 of 20: 'b'",
        "  and 16 changes more)",
    ]
