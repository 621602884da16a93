"""The comfy dialect: golden cases, an independent transcription of its rules, spans, notes and errors."""

import pytest
from hypothesis import example, given

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import parse
from clipcond.prompt.hints import MAX_DEPTH
from tests.cases import cases
from tests.prompt.texts import texts_of

GOLDEN = cases("prompts")["weights"]
PIECES = texts_of(r"a| |(|)|:|1.2|:1.3)|:.5)|\|\(|\)|((b)".split("|"), most=14)


@pytest.mark.parametrize("case", GOLDEN, ids=[repr(case["prompt"]) for case in GOLDEN])
def test_golden(case):
    segments = parse(case["prompt"], "comfy").segments()
    assert [s.text for s in segments] == [text for text, _ in case["comfy"]]
    assert [s.weight for s in segments] == pytest.approx([w for _, w in case["comfy"]], abs=1e-9)


def weigh(text, weight):
    """The rules in their simplest form: quadratic, recursive, for texts without escapes and huge numbers.

    A group runs from a bracket that opens at depth 0 to where the depth is 0 again, or to the end; it is weighed
    if it ends in a closing bracket, and its inside is read in the same way.
    """
    groups, start, depth = [], 0, 0
    for at, char in enumerate(text):
        if char == "(" and depth == 0:
            groups.append(text[start:at])
            start = at
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == ")" and depth == 0:
            groups.append(text[start : at + 1])
            start = at + 1
    for group in filter(None, [*groups, text[start:]]):
        if not (len(group) > 1 and group[0] == "(" and group[-1] == ")"):
            yield group, weight
            continue
        inside, (words, colon, number) = group[1:-1], group[1:-1].rpartition(":")
        try:
            yield from weigh(words, float(number if colon and words else "none"))
        except ValueError:
            yield from weigh(inside, weight * 1.1)


@given(PIECES)
@example("((a)((b:1.2):.5)")
@example("(((a):1.3)")
@example("a) (b) ((c)")
@example("(a (b) ((c:1.2):1.3)))")
def test_it_follows_the_rules(text):
    bare = text.replace("\\", "")
    assert parse(bare, "comfy").segments() == tuple(weigh(bare, 1.0))


@given(PIECES)
def test_spans_are_where_the_text_is(text):
    prompt, end = parse(text, "comfy"), 0
    for fragment in prompt.fragments():
        begin, end_here = fragment.span
        assert end <= begin < end_here
        end = end_here
        assert text[begin:end].replace("\\(", "(").replace("\\)", ")") == fragment.text


def test_an_empty_prompt_has_no_segments():
    assert parse("", "comfy").segments() == parse("(())", "comfy").segments() == ()


def test_an_inner_number_replaces_and_bare_brackets_multiply():
    text = "foo ((((lol (cat:666) attack):100))) baz"
    assert parse(text, "comfy").segments() == (
        ("foo ", 1.0),
        ("lol ", 100 * 1.1),
        ("cat", 666.0),
        (" attack", 100 * 1.1),
        (" baz", 1.0),
    )


def test_it_knows_no_steps():
    prompt = parse("[a:b:0.5] AND c BREAK d", "comfy")
    assert not prompt.is_scheduled
    assert prompt.branches == ((prompt, 1.0),)
    assert prompt.schedule(7) == ((7, prompt.text),)


@pytest.mark.parametrize(
    ("text", "message", "pointed"),
    [
        ("a (cat", "never closed", "("),
        ("a) cat", "closes nothing", ")"),
        ("a [cat]", "square brackets are text", "[cat]"),
        ("a BREAK b", "BREAK is a word", "BREAK"),
        ("a AND b", "AND is a word", "AND"),
        ("<lora:x:1> b", "LoRA tag is text", "<lora:x:1>"),
        ("(red)1.3 ball", "compel's weight syntax", ")1.3"),
        ('("a", "b").blend(1,1)', "compel's operators", ").blend("),
        ("(limited:2024)", "2024 is read as a weight", "2024"),
    ],
)
def test_diagnostics_point_and_strict_raises(text, message, pointed):
    (note,) = parse(text, "comfy").diagnostics
    assert message in note.message
    assert text[slice(*note.span)] == pointed
    with pytest.raises(PromptSyntaxError, match=message):
        parse(text, "comfy", strict=True)


@pytest.mark.parametrize("number", ["inf", "nan", "-Infinity", "1e999"])
def test_a_weight_that_is_not_finite_is_an_error(number):
    with pytest.raises(PromptSyntaxError, match="not a finite number") as raised:
        parse(f"a (b:{number})", "comfy")
    assert raised.value.span == (5, 5 + len(number))


def test_depth_and_products_are_bounded():
    text = "(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH
    assert parse(text, "comfy").segments()[0].weight == pytest.approx(1.1**MAX_DEPTH)
    with pytest.raises(PromptSyntaxError, match="nested deeper"):
        parse(f"({text})", "comfy")
    with pytest.raises(PromptSyntaxError, match="multiply to more"):
        parse("(((a)):1.7e308)", "comfy")
