"""render and convert: what is written reads as what was read, and what cannot be kept is said."""

import warnings

import pytest
from hypothesis import assume, given

import clipcond
from clipcond.errors import ClipcondError, PromptConversionWarning, PromptSyntaxError
from clipcond.prompt import DIALECTS, convert, parse, render
from tests.cases import cases
from tests.prompt.texts import any_text, texts_of

CASES = cases("prompts")
PROMPTS = [case["prompt"] for case in CASES["weights"] + CASES["schedules"] + CASES["and"]]
WORDS = (
    r"a|red| |  |(|)|[|]|:|,|\|\(|\\|:1.3)|)1.2|++|-|BREAK| BREAK | AND | AND_PERP |AND_SALT|_|é|3.5|[a:b:3]|<lora:x:.5>|"
    r'"b"|("a", "b").blend(1,2)|("a", "b").and(1,0.5)|withLora(y)|\"|=|(c d)0.7|(e:-2)|\t|#|# b\n|//|/*|*/|<x:y>|,,'
)
PIECES = texts_of([*WORDS.split("|"), "|", "\n"], most=12)


def read(text, dialect):
    try:
        return parse(text, dialect)
    except PromptSyntaxError:
        return assume(False)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=PIECES | any_text(most=30))
def test_what_is_rendered_reads_the_same(dialect, text):
    prompt = read(text, dialect)
    assert parse(render(prompt), dialect) == prompt
    for branch, _ in prompt.branches:
        assert parse(render(branch), dialect) == branch


@pytest.mark.parametrize("dialect", ["a1111", "comfy", "plain"])
@pytest.mark.parametrize("text", PROMPTS)
def test_the_writers_need_no_source(dialect, text):
    prompt = parse(text, dialect)
    if not prompt.loras:
        assert parse(DIALECTS[dialect].write(prompt, ()), dialect) == prompt


@pytest.mark.parametrize(
    ("text", "dialect", "rendered"),
    [
        ("((nested)) (b:1.0) [c] \\(d\\)", "a1111", "(nested:1.2100000000000002) b (c:0.9090909090909091) \\(d\\)"),
        ("a   BREAK (b:1.2)", "a1111", "a BREAK (b:1.2)"),
        ("a :2 AND (b) :0.50", "a1111", "a :2 AND (b:1.1) :0.5"),
        ("a [b:c:.5] [d]", "a1111", "a [b:c:.5] [d]"),
        ("a AND_PERP (b) :-1 AND_SALT c", "a1111+", "a AND_PERP (b:1.1) :-1 AND_SALT c"),
        ("((a:1.2) b:1.5)", "comfy", "(a:1.2)( b:1.5)"),
        ("(a b)++ \"c\"", "compel", "(a b)1.2100000000000002 c"),
        ('("a+","b").blend(1,3)', "compel", '("(a)1.1", "b").blend(0.25, 0.75, no_normalize)'),
        ("(a) [b]", "plain", "(a) [b]"),
    ],
)  # fmt: skip
def test_spelling(text, dialect, rendered):
    assert render(parse(text, dialect)) == rendered


def words(prompt):
    """(character, weight) of everything but blanks, branch by branch."""
    return [
        (weight, [(c, s.weight) for s in branch.segments() for c in s.text if not c.isspace()])
        for branch, weight in prompt.branches
    ]


@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("target", DIALECTS)
@given(text=PIECES)
def test_without_a_warning_nothing_is_lost(source, target, text):
    prompt = read(text, source).without_tags
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        converted = convert(text, source, target)
    assert all(issubclass(warning.category, PromptConversionWarning) for warning in caught)
    if not caught:
        again = parse(converted, target).without_tags
        assert (again.joined, again.operators) == (prompt.joined, prompt.operators)
        assert words(again) == words(prompt)


@pytest.mark.parametrize(
    ("text", "source", "target", "converted"),
    [
        ("a (red:1.3) ball, [dim]", "a1111", "compel", "a (red)1.3 ball, (dim)0.9090909090909091"),
        ("a (red)1.3 ball", "compel", "a1111", "a (red:1.3) ball"),
        ("a red++ (ball)0.7", "compel", "comfy", "a (red:1.2100000000000002) (ball:0.7)"),
        ("a [red] ((ball))", "comfy", "a1111", "a \\[red\\] (ball:1.2100000000000002)"),
        ("(photo)35mm", "compel", "a1111", "(photo:35) mm"),
        ("<lora:x:0.5> a", "a1111", "compel", "a withLora(x, 0.5)"),
        ("a withLora(x, 0.5)", "compel", "a1111", "<lora:x:0.5>a"),
        ("a BREAK", "comfy", "a1111", "a BRE()AK"),
        ("[a] (b)", "plain", "a1111", "\\[a\\] \\(b\\)"),
        ("((a)) b", "a1111", "a1111", "(a:1.2100000000000002) b"),
        ("a [b:c:3] AND d :2", "a1111", "a1111+", "a [b:c:3] AND d :2"),
        ("a AND_PERP b :-1 AND c", "a1111", "a1111+", "a AN()D_PERP b :-1 AND c"),
        ("[AND_SALT a:b:3]", "a1111", "a1111+", "[AN()D_SALT a:b:3]"),
        ("[AN()D_SALT a|b] AND c", "a1111+", "a1111", "[AN()D_SALT a|b] AND c"),
        ("a AND_TOPK b", "plain", "a1111+", "a AN()D_TOPK b"),
        ("", "comfy", "compel", ""),
    ],
)
def test_conversions_that_keep_the_meaning(text, source, target, converted):
    assert convert(text, source, target) == converted


@pytest.mark.parametrize(
    ("text", "source", "target", "converted", "loss"),
    [
        ("a [b:c:0.5]", "a1111", "compel", "a b", "schedules are not kept"),
        ("a AND b :0.5", "a1111", "compel", '("a", "b").and(1, 0.5)', "composes in noise space"),
        ('("a", "b").blend(1, 1)', "compel", "a1111", "a :0.5 AND b :0.5", "averages embeddings"),
        ('("a", "b").and()', "compel", "a1111", "a BREAK b", "concatenates embeddings"),
        ("a AND b", "a1111", "comfy", "a,  b", "joined by commas"),
        ("a AND_PERP b :-1", "a1111+", "a1111", "a AND b :-1", "AND_PERP is not kept"),
        ("a BREAK b", "a1111", "comfy", "a b", "BREAK is not kept"),
        ("<lora:x:0.5> a", "a1111", "comfy", " a", "LoRAs are not kept: x"),
        ("(a:-1)", "a1111", "compel", "(a)0", "weights below 0"),
        ("(a:1.2)", "a1111", "plain", "a", "weights are not kept"),
        ("re(d:1.3)", "a1111", "compel", "re (d)1.3", None),
        ("C++", "a1111", "compel", "C++", "not everything can be written"),
        ("a.swap(b", "plain", "compel", "a.swap\\(b", None),
    ],
)  # fmt: skip
def test_what_is_lost_is_said(text, source, target, converted, loss):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert clipcond.convert(text, source, target) == converted
    messages = [str(warning.message) for warning in caught]
    assert [loss in message for message in messages] == [True] * (loss is not None)
    assert all(f"from {source} to {target}" in message for message in messages)


def test_every_operator_that_is_lost_is_named():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert("a AND_TOPK b AND_PERP c", "a1111+", "comfy")
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "joined by commas" in messages[0]
    assert "AND_PERP, AND_TOPK is not kept" in messages[1]


def test_unknown_dialects_are_refused():
    for dialects in (("a1111", "klingon"), ("klingon", "a1111")):
        with pytest.raises(ClipcondError, match="no dialect 'klingon'"):
            convert("a", *dialects)
