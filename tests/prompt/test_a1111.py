"""The a1111 dialect: golden cases, where each fragment stands, what is noted, and what is refused."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt import Segment, parse
from clipcond.prompt import a1111_weights as weights
from clipcond.prompt.hints import MAX_DEPTH
from tests.cases import cases
from tests.prompt.texts import any_text, texts_of

CASES = cases("prompts")
GOLDEN = CASES["weights"]
SYNTAX = st.text(alphabet="ab ,()[]\\:.1-+|\n", max_size=60)
WORDS = (
    r"BREAK,a, ,(,),[,],:1.3),:,\,\(,|,é,_,:.5), AND ,:3],:.5],[a:b:2],[c|d],<lora:x:1>,<lora:,>"
)
PIECES = texts_of(WORDS.split(","))


@pytest.mark.parametrize("case", GOLDEN, ids=[repr(case["prompt"]) for case in GOLDEN])
def test_golden(case):
    segments = parse(case["prompt"]).segments()
    assert [s.text for s in segments] == [text for text, _ in case["a1111"]]
    assert [s.weight for s in segments] == pytest.approx([w for _, w in case["a1111"]], abs=1e-9)


@pytest.mark.parametrize("case", CASES["schedules"], ids=lambda c: f"{c['prompt']!r}-{c['steps']}")
def test_golden_schedule(case):
    prompt, steps = parse(case["prompt"]), case["steps"]
    rows = case["schedule"]
    assert [list(row) for row in prompt.schedule(steps)] == rows
    for step in range(steps if not prompt.joined else 0):
        text = next(text for last, text in rows if last >= step + 1)
        said, _ = weights.read(text)
        assert prompt.segments(step, steps) == tuple((f.text, f.weight) for f in said)


@pytest.mark.parametrize("case", CASES["and"], ids=lambda c: repr(c["prompt"]))
def test_golden_and(case):
    (indices,), texts = case["multicond"]
    prompt = parse(case["prompt"])
    assert prompt.joined == "compose"
    assert [(branch.text, weight) for branch, weight in prompt.branches] == [
        (texts[i], weight) for i, weight in indices
    ]
    assert [branch.schedule(9) for branch, _ in prompt.branches] == [
        ((9, texts[i]),) for i, _ in indices
    ]


def test_one_branch_is_the_prompt_itself():
    prompt = parse("a (b:1.2) :0.7")
    assert prompt.branches == ((prompt, 1.0),)
    assert prompt.joined == ""


def test_several_branches_have_no_segments_of_their_own():
    prompt = parse("a AND b")
    with pytest.raises(ClipcondError, match="2 branches"):
        prompt.segments()
    assert prompt.schedule(5) == ((5, "a AND b"),)


def test_branches_have_spans_of_their_own_and_diagnostics_of_both():
    text = "a cat AND (a (dog) :0.7"
    prompt = parse(text)
    dog = prompt.branches[1][0]
    assert dog.text == " (a (dog)"
    assert [dog.text[slice(*f.span)] for f in dog.fragments()] == [" ", "a ", "dog"]
    assert dog.text[slice(*dog.diagnostics[0].span)] == "("
    assert prompt.diagnostics[0].span == (10, 11)


def test_a_branch_weight_is_a_number():
    with pytest.raises(PromptSyntaxError, match="branch's weight"):
        parse("a AND b:" + "9" * 400)


def test_spans_go_through_schedules():
    text = "a [(red:1.3):blue:0.5] (ball [is|was] on:1.2) fire"
    prompt = parse(text)
    assert prompt.is_scheduled
    assert prompt.segments(19, 20)[0].text == "a blue "
    for step in range(20):
        for fragment in prompt.fragments(step, 20):
            for word in fragment.text.split():
                assert word in text[slice(*fragment.span)]
    red = prompt.fragments(0, 20)[1]
    assert (red.text, text[slice(*red.span)]) == ("red", "red")


def test_a_weight_may_be_scheduled():
    prompt = parse("(cat:[1.2:0.8:0.5])")
    assert [prompt.segments(step, 2)[0].weight for step in (0, 1)] == [1.2, 0.8]


def test_errors_inside_schedules_point_at_the_source():
    with pytest.raises(PromptSyntaxError, match="not a finite number") as raised:
        parse("a [b:(c:1.2.3):5]")
    assert raised.value.text[slice(*raised.value.span)] == "1.2.3"
    with pytest.raises(PromptSyntaxError, match="step is not a finite") as raised:
        parse("x AND a [b:c:" + "9" * 400 + "]")
    assert raised.value.span == (13, 413)


@pytest.mark.parametrize("when", ["-1e308.0", "1.0e308", "-1.0e308", "1e30"])
def test_steps_beyond_all_are_the_ends(when):
    assert [text for _, text in parse(f"[a:b:{when}]").schedule(20)] in (
        ["a"],
        ["b"],
        ["[a:b:" + when + "]"],
    )


def test_loras_are_data():
    text = "<lora:foo:0.8> a <lyco:bar> (cat:1.2) AND <lora:baz:-1:te=2>b"
    prompt = parse(text)
    assert [(x.name, x.weight, text[slice(*x.span)]) for x in prompt.loras] == [
        ("foo", 0.8, "<lora:foo:0.8>"),
        ("bar", 1.0, "<lyco:bar>"),
        ("baz", 2.0, "<lora:baz:-1:te=2>"),
    ]
    assert [lora.unet_weight for lora in prompt.loras] == [0.8, 1.0, 2.0]
    bare = prompt.without_tags
    assert [branch.segments() for branch, _ in bare.branches] == [
        ((" a  ", 1.0), ("cat", 1.2)),
        ((" b", 1.0),),
    ]
    cat = bare.branches[0][0]
    assert [cat.text[slice(*f.span)] for f in cat.fragments()] == [" a <lyco:bar> ", "cat"]
    assert parse("a cat").without_tags == parse("a cat")
    assert parse("<lora:a:1>") != parse("<lora:a:2>")


@given(PIECES)
def test_equal_prompts_say_the_same(text):
    try:
        prompt = parse(text)
    except PromptSyntaxError:
        return
    assert prompt == parse(text)
    assert hash(prompt) == hash(parse(text))
    assert prompt != parse(text + "x")
    assert prompt != text


def test_segments_unpack_and_know_breaks():
    segments = parse("a BREAK (b BREAK c:1.2)").segments(step=3, steps=4)
    assert [tuple(s) for s in segments[:3]] == [("a", 1.0), ("BREAK", -1), ("", 1.0)]
    assert [s.is_break for s in segments] == [False, True, False, False, False, False]
    assert segments[1] == Segment("BREAK", -1)


@pytest.mark.parametrize(("step", "steps"), [(-1, 20), (20, 20), (0, 0)])
def test_a_step_out_of_range_is_refused(step, steps):
    with pytest.raises(ValueError, match=f"step {step} is not among"):
        parse("a").segments(step=step, steps=steps)


def test_spans_quote_the_source():
    text = r"a \(b\), (red ball:1.3) [c]"
    prompt = parse(text)
    assert [text[slice(*f.span)] for f in prompt.fragments()] == [
        r"a \(b\), ",
        "red ball",
        " ",
        "c",
    ]


@given(SYNTAX | PIECES | st.text(max_size=40))
def test_never_raises_but_syntax_errors_and_spans_are_in_order(text):
    try:
        prompt = parse(text)
    except PromptSyntaxError:
        return
    ends = [0]
    if prompt.joined:
        return
    for fragment in prompt.fragments():
        assert ends[-1] <= fragment.span[0] <= fragment.span[1] <= len(text)
        ends.append(fragment.span[1])
        assert math.isfinite(fragment.weight)
    assert all(a.weight != b.weight for a, b in itertools.pairwise(prompt.fragments()))
    assert repr(prompt)


@given(any_text(without="()[]\\:"))
def test_text_without_syntax_is_itself(text):
    if "BREAK" not in text and "#" not in text:
        assert parse(text).segments() == (Segment(text, 1.0),)


@given(any_text(most=40))
def test_escaping_gives_the_text_back(text):
    escaped = "".join(f"\\{c}" if c in "()[]\\" else c for c in text)
    if "BREAK" not in text and not any(w in text for w in ":#"):
        assert "".join(s.text for s in parse(escaped).segments()) == text


@given(any_text(most=40))
def test_plain_has_no_syntax(text):
    assert parse(text, dialect="plain").segments() == (Segment(text, 1.0),)


@pytest.mark.parametrize(
    ("text", "message", "pointed"),
    [
        ("a (cat", "never closed", "("),
        ("[a:b:c:0.5]", "more than two colons", "[a:b:c:0.5]"),
        ("a | b [cat:dog:0.5]", "makes this whole prompt's schedules text", "|"),
        ("[cat:dog:0.5] \\", "escapes nothing", "\\"),
        ("(limited:2024)", "2024 is read as a weight", "2024"),
        ("<lora:x:0.5> a cat", "named here but not loaded", "<lora:x:0.5>"),
        ("<lora:x:.5:1:8:te=3:a=b> a", "'8:a=b' not read", "<lora:x:.5:1:8:te=3:a=b>"),
        ("<lora:x:high> a cat", "weight is no number", "<lora:x:high>"),
        ("[a:(b BREAK c):3]", "BREAK inside", "BREAK"),
        ("a AND x (b BREAK c) :0.5", "BREAK inside", "BREAK"),
        ("cat:1.3) b", "closes no bracket", ":1.3)"),
        ("(a BREAK b)", "BREAK inside", "BREAK"),
    ],
)
def test_diagnostics_point_and_strict_raises(text, message, pointed):
    (note,) = parse(text).diagnostics
    assert message in note.message
    assert text[slice(*note.span)] == pointed
    assert note.hint
    with pytest.raises(PromptSyntaxError, match=message) as raised:
        parse(text, strict=True)
    prompt_line, caret_line = str(raised.value).splitlines()[1:3]
    start = caret_line.index("^")
    assert prompt_line[start : start + caret_line.count("^")] == pointed


def test_a_clean_prompt_has_no_diagnostics():
    assert (
        parse(
            "a (red:1.3) ball, [dim], [a:b:3], ((b)), time 10:30 AND c, BREAK \\(x\\)"
        ).diagnostics
        == ()
    )


@pytest.mark.parametrize("weight", [".", "1.2.3", "9" * 400, "-" + "9" * 400, "..5"])
def test_a_weight_that_is_no_number_is_an_error_with_a_caret(weight):
    with pytest.raises(PromptSyntaxError, match="not a finite number") as raised:
        parse(f"a (b:{weight}) c")
    assert raised.value.span == (5, 5 + len(weight))


def test_nested_weights_that_overflow_are_an_error_with_a_caret():
    big = "9" * 200
    with pytest.raises(PromptSyntaxError, match="multiply to more") as raised:
        parse(f"a ((b:{big}):{big}) c")
    assert "^" in str(raised.value)


def test_factors_multiply_from_the_inside_out():
    # floats do not commute, and neighbours are joined when their weights are equal to the last bit
    (inside,) = parse("(((a:1.1):1.2):1.4)").segments()
    assert inside.weight == (1.1 * 1.2) * 1.4 != 1.1 * (1.2 * 1.4)


def test_depth_is_bounded():
    assert parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH).segments()[0].weight == pytest.approx(
        1.1**MAX_DEPTH
    )
    with pytest.raises(PromptSyntaxError, match="nested deeper"):
        parse("[(" * MAX_DEPTH)
    nested = "[" * MAX_DEPTH + "a" + ":b:3]" * MAX_DEPTH
    assert parse(nested).schedule(10) == ((3, "a"), (10, "b"))
    with pytest.raises(PromptSyntaxError, match="nested deeper"):
        parse(f"[{nested}:c:3]")


def test_lone_surrogate_is_an_error_and_prints():
    with pytest.raises(PromptSyntaxError, match="surrogate") as raised:
        parse("a \ud800 b")
    str(raised.value).encode()


def test_unknown_dialect_names_the_known():
    with pytest.raises(
        ClipcondError, match="no dialect 'compol'; there are a1111, a1111\\+, comfy, compel, plain"
    ):
        parse("a", dialect="compol")
