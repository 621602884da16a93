"""The compel dialect: what compel itself answered, spans, notes where it is silent, and what is refused."""

import re

import pytest
from hypothesis import given

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import parse
from clipcond.prompt.hints import MAX_DEPTH
from tests.cases import cases
from tests.prompt.texts import any_text, texts_of

GOLDEN = cases("compel")["prompts"]
WORDS = (
    'a|red ball| |(|)|,|.|1.2|++|-|"|\\"|\\(|=|(b c)1.3|(d)|"e f"|withLora(x,0.5)|.attend(1.2)|é|\n'
)
PIECES = texts_of(WORDS.split("|"), most=12)
QUIET = any_text(without='()",.+-=\\')


@pytest.mark.parametrize("case", GOLDEN, ids=[repr(case["prompt"]) for case in GOLDEN])
def test_golden(case):
    prompt = parse(case["prompt"], "compel")
    branches = case["branches"] or [[[["", 1.0]], 1.0]]
    if not case["joined"]:
        assert prompt.branches == ((prompt, 1.0),)
    assert [[[list(s) for s in b.segments()] for b, _ in prompt.branches]] == [
        [fragments for fragments, _ in branches]
    ]
    assert [w for _, w in prompt.branches] == pytest.approx([w for _, w in branches], abs=1e-9)
    assert [[lora.name, lora.weight] for lora in prompt.loras] == case["loras"]
    if len(branches) > 1:
        assert prompt.joined == case["joined"]


def test_fragments_of_one_weight_stay_apart_where_another_is_between():
    text = "a (red)1.3 ball and (blue)1.3 cube"
    prompt = parse(text, "compel")
    assert prompt.segments() == (
        ("a", 1.0),
        ("red", 1.3),
        ("ball and", 1.0),
        ("blue", 1.3),
        ("cube", 1.0),
    )
    assert [text[slice(*f.span)] for f in prompt.fragments()] == [s.text for s in prompt.segments()]
    assert prompt.separator == " "


def test_outer_weights_multiply_first():
    (inner,) = parse("(((a)1.1)1.2)1.4", "compel").segments()
    assert inner.weight == ((1.0 * 1.4) * 1.2) * 1.1 != ((1.0 * 1.1) * 1.2) * 1.4


def test_branches_have_spans_of_their_own():
    text = '("a red++ ball", "a (blue)1.3 \\"cube\\"").blend(1, 3)'
    prompt = parse(text, "compel")
    assert prompt.joined == "blend"
    assert [weight for _, weight in prompt.branches] == [0.25, 0.75]
    red, blue = (branch for branch, _ in prompt.branches)
    assert (red.text, blue.text) == ("a red++ ball", 'a (blue)1.3 \\"cube\\"')
    assert [red.text[slice(*f.span)] for f in red.fragments()] == ["a", "red", "ball"]
    assert [blue.text[slice(*f.span)] for f in blue.fragments()] == ["a", "blue", '\\"cube\\"']
    assert blue.segments()[-1].text == '"cube"'


def test_concat_keeps_its_weights():
    prompt = parse('("a", "b").and(1, 0.5)', "compel")
    assert prompt.joined == "concat"
    assert [weight for _, weight in prompt.branches] == [1.0, 0.5]
    assert parse('("a").and(0.5)', "compel").joined == "concat"


@given(QUIET)
def test_text_without_syntax_is_its_words(text):
    if "Lora" not in text:
        words = [w for w in text.translate(str.maketrans("\t\n\r\f\v", "     ")).split(" ") if w]
        assert parse(text, "compel").segments() == ((" ".join(words), 1.0),)


@given(PIECES)
def test_spans_are_in_order(text):
    end = 0
    for fragment in parse(text, "compel").fragments():
        assert end <= fragment.span[0] <= fragment.span[1] <= len(text)
        end = fragment.span[1]


@pytest.mark.parametrize(
    ("text", "message", "pointed"),
    [
        ("a (red:1.3) ball", "A1111's weight syntax", ":1.3)"),
        ("a [red:blue:0.5] ball", "square brackets", "[red:blue:0.5]"),
        ("a AND b", "AND is a word", "AND"),
        ("<lora:x:1> a", "LoRA tag", "<lora:x:1>"),
        ("(limited)2024", "2024 is read as a weight", "2024"),
        ("(photo)35mm", "35 is read as a weight", "35"),
        ("(photo)2x", "'2' is read as a weight", "2"),
        ("a (red ball", "'(' is text", "("),
        ("(a - b) c", "'(' is text", "("),
        ('a "red ball', "'\"' is text", '"'),
        ('("a","b").blnd(1,2)', "no operator .blnd", ".blnd("),
        ('c, ("a","b").blend(1,2)', "joins whole prompts", ".blend("),
    ],
)
def test_diagnostics_point_and_strict_raises(text, message, pointed):
    note = parse(text, "compel").diagnostics[0]
    assert message in note.message
    assert text[slice(*note.span)] == pointed
    with pytest.raises(PromptSyntaxError, match=re.escape(message)):
        parse(text, "compel", strict=True)


@pytest.mark.parametrize(
    ("typo", "meant"), [("blnd", "blend"), ("adn", "and"), ("atend", "attend")]
)
def test_typos_are_answered(typo, meant):
    (note,) = parse(f'("a","b").{typo}(1,2)', "compel").diagnostics
    assert note.hint == f"did you mean .{meant}?"


def test_a_clean_prompt_has_no_diagnostics():
    text = 'a cat++ (red ball)1.3, "two words"-, (x).attend(0.5), \\(y\\) 3.5 it\'s well-known'
    assert parse(text, "compel").diagnostics == ()
    assert parse('("a", "b (c)1.2").blend(1, 1)', "compel", strict=True).diagnostics == ()


@pytest.mark.parametrize(
    ("text", "message", "pointed"),
    [
        ('("a","b").and() and more', "nothing may follow .and", "and more"),
        ('("a","b").blend(1,2), c', "nothing may follow .blend", ", c"),
        ('("a","b").and(1)', "1 weights for 2 prompts", ".and(1)"),
        ('("a","b").blend(1,2,3)', "3 weights for 2 prompts", ".blend(1,2,3)"),
        ('("a","b").blend(1,-1)', "sum of its weights", ".blend(1,-1)"),
        ('("a","b").blend(one,2)', "takes numbers", ".blend(one,2)"),
        ('("a","b").and(inf,2)', "takes numbers", ".and(inf,2)"),
        ("a cat.swap(dog) b", "cross-attention control", ".swap("),
        ("((a)" + "9" * 400 + " b)", "multiply to more", "9" * 400),
    ],
)
def test_what_is_refused(text, message, pointed):
    with pytest.raises(PromptSyntaxError, match=message) as raised:
        parse(text, "compel")
    assert text[slice(*raised.value.span)] == pointed


def test_depth_is_bounded_and_nesting_costs_nothing():
    text = "(" * MAX_DEPTH + "red" + ")+" * MAX_DEPTH
    assert parse(text, "compel").segments()[0].weight == pytest.approx(1.1**MAX_DEPTH)
    with pytest.raises(PromptSyntaxError, match="nested deeper"):
        parse(f"({text})", "compel")
