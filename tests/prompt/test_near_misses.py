"""What is nearly syntax is noted, with the repair; what is ordinary is not."""

import re

import pytest

from clipcond.prompt import hints, parse
from tests.cases import cases

CASES = cases("prompts")


def notes(text, dialect="a1111"):
    return [(text[slice(*n.span)], n.message, n.hint) for n in parse(text, dialect).diagnostics]


@pytest.mark.parametrize("dialect", ["a1111", "comfy", "compel"])
@pytest.mark.parametrize(
    ("text", "pointed", "message", "repair"),
    [
        ("a (red:1,3) ball", ":1,3)", "no weight", "words"),
        ("a (red: 1, 3) ball", ": 1, 3)", "no weight", "words"),
        ("a (red:1.3x) ball", ":1.3x)", "no weight", "words"),
        ("a (red:x1.3) ball", ":x1.3)", "no weight", "words"),
        ("a (red:130%) ball", ":130%)", "no weight", "words"),
        ("a (red;1.3) ball", ";1.3)", "no weight", "words"),
        ("a (red=1.3) ball", "=1.3)", "no weight", "words"),
        ("a (red\uff1a1.3) ball", "\uff1a1.3)", "no weight", "words"),
        ("a (red):1.3 ball", ":1.3", "weight", "(words"),
        ("a (red) :1.3, ball", " :1.3", "weight", "(words"),
        ("a \uff08red:1.3\uff09 ball", "\uff08red:1.3\uff09", "full-width", "ASCII"),
        ("a \uff08red ball", "\uff08red ball", "full-width", "ASCII"),
        ("a (red:1.3\uff09 ball", "\uff09", "full-width", "ASCII"),
        ("a \uff3bred\uff3d ball", "\uff3bred\uff3d", "full-width", "ASCII"),
        ("a {red|blue} ball", "{red|blue}", "choice", "clipcond.expand"),
        ("a {2$$red|{dark|light} blue}", "{dark|light}", "choice", "--wildcards"),
        ("a __animal__, b", "__animal__", "wildcard", "clipcond.expand"),
        ("a __sky/hair color-2__", "__sky/hair color-2__", "wildcard", "clipcond.expand"),
    ],
)  # fmt: skip
def test_in_each_dialect(dialect, text, pointed, message, repair):
    found = notes(text, dialect)
    (own,) = [(said, hint) for at, said, hint in found if at == pointed]
    assert message in own[0]
    assert repair in own[1]


@pytest.mark.parametrize("dialect", ["a1111", "comfy"])
@pytest.mark.parametrize(
    ("text", "pointed", "message"),
    [
        ("(1girl, :3)", ":3)", "a face or a ratio"),
        ("(smile :3)", ":3)", "a face or a ratio"),
        ("(:3)", ":3)", "a face or a ratio"),
        ("(cat, >:3) dog", ":3)", "a face or a ratio"),
        ("(surprise, :0)", ":0)", "a face or a ratio"),
        ("(16:9)", ":9)", "a face or a ratio"),
        ("(happy :)", "(happy :)", "neither a weight nor a face"),
        ("(wink ;)", "(wink ;)", "neither a weight nor a face"),
        ("(happy :-)", "(happy :-)", "neither a weight nor a face"),
        ("(red:)", "(red:)", "neither a weight nor a face"),
    ],
)
def test_faces(dialect, text, pointed, message):
    ((at, said, hint),) = notes(text, dialect)
    assert at == pointed
    assert message in said
    assert hint


@pytest.mark.parametrize(
    ("text", "pointed"),
    [
        ("a cat, 16:9", ":9"),
        ("smile, :3", ":3"),
        ("a cat : 0.5 \n", ": 0.5"),
        ("a [b:c:3] :2.", ":2."),
        ("a cat, 16:9 <lora:x:1>", ":9"),
        ("a cat :-1 # note", ":-1"),
    ],
)
def test_a_number_at_the_end_is_text_and_noted(text, pointed):
    prompt = parse(text)
    (note,) = [n for n in prompt.diagnostics if "web UI weighs a whole prompt" in n.message]
    assert text[slice(*note.span)] == pointed
    assert f"{pointed}," in note.hint
    assert prompt.without_tags.branches == ((prompt.without_tags, 1.0),)
    assert pointed in prompt.schedule(9)[-1][1]


def test_a_weight_after_the_last_bracket_has_its_own_repair():
    ((at, _, hint),) = notes("a (red):1.3")
    assert (at, hint) == (":1.3", "write it inside the bracket to weigh words: (words:1.3)")


def test_square_brackets_that_were_meant_to_weigh():
    ((at, said, hint),) = notes("a [red:1.3] ball")
    assert at == "[red:1.3]"
    assert "never said" in said
    assert "(words:1.3)" in hint


@pytest.mark.parametrize(
    "text",
    [
        "(smile :D), (x:1.2), :), :3, smile, :3, cat",
        "a (red:1.3) ball, [dim], [a:b:3], ((b)), time 10:30, 1:1 ratio, the end: a",
        "((a:1.2) b:1.5), (a (b:0.5):1.2), (a [b:c:0.5]:1.2), [(a:2):3], [[a|b]:c:0.5]",
        "(a: 1.3 ), (b:.5), (c:-1), (d:2), (e :1), (red ball : 0.8)",
        "(a) :0.5 AND (b):1.3",
        "snake_case, a_b__c, fill in the __ and __, {braces}, {a, b}, 1{2, ____, __ a __",
        "\u4e2d\u6587\uff1a\u732b, \u732b\uff0c\u72d7",
        r"\(red:1,3\), \{a|b}, (a\), b)",
        "a: 1, 2 and 3 (or 4)",
        "(b&w photo, f/1.8, 8k), (iso 100)",
    ],
)
def test_no_false_alarms(text):
    assert [n for n in notes(text) if "closed" not in n[1]] == []


def test_no_false_alarms_in_the_golden_prompts():
    """What is nearly syntax, but not the syntax of other dialects; the odd ones among them are made of pieces."""
    new = {message for _, message, _ in (*hints.UNREAD, *hints.NEARLY)}
    prompts = [case["prompt"] for kind in ("weights", "schedules", "and") for case in CASES[kind]]
    for text in prompts:
        assert not new & {message for _, message, _ in notes(text)}, text
        assert not new & {message for _, message, _ in notes(text, "comfy")}, text
        late = [at for at, said, _ in notes(text) if "after its bracket" in said]
        assert all(re.search(r"\)\s*:", text) for _ in late)
