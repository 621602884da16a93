"""The a1111 dialect: golden cases, where each fragment stands, what is noted, and what is refused."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt import Segment, parse
from clipcond.prompt.a1111 import MAX_DEPTH

GOLDEN = json.loads((Path(__file__).parents[1] / "cases" / "prompts.json").read_text())["weights"]
SYNTAX = st.text(alphabet="ab ,()[]\\:.1-+|\n", max_size=60)
PIECES = st.lists(
    st.sampled_from(
        ["BREAK", "a", " ", "(", ")", "[", "]", ":1.3)", ":", "\\", "\\(", "|", "é", "_", ":.5)"]
    )
).map("".join)


@pytest.mark.parametrize("case", GOLDEN, ids=[repr(case["prompt"]) for case in GOLDEN])
def test_golden(case):
    segments = parse(case["prompt"]).segments()
    assert [s.text for s in segments] == [text for text, _ in case["a1111"]]
    assert [s.weight for s in segments] == pytest.approx([w for _, w in case["a1111"]], abs=1e-9)


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
    assert [text[slice(*f.span)] for f in prompt.fragments] == [r"a \(b\), ", "red ball", " ", "c"]


@given(SYNTAX | PIECES | st.text(max_size=40))
def test_never_raises_but_syntax_errors_and_spans_are_in_order(text):
    try:
        prompt = parse(text)
    except PromptSyntaxError:
        return
    ends = [0]
    for fragment in prompt.fragments:
        assert ends[-1] <= fragment.span[0] <= fragment.span[1] <= len(text)
        ends.append(fragment.span[1])
        assert math.isfinite(fragment.weight)
    assert all(
        a.weight != b.weight for a, b in zip(prompt.fragments, prompt.fragments[1:], strict=False)
    )
    assert repr(prompt)


@given(st.text(alphabet=st.characters(exclude_characters="()[]\\:", exclude_categories=["Cs"])))
def test_text_without_syntax_is_itself(text):
    if "BREAK" not in text:
        assert parse(text).segments() == (Segment(text, 1.0),)


@given(st.text(max_size=40, alphabet=st.characters(exclude_categories=["Cs"])))
def test_escaping_gives_the_text_back(text):
    escaped = "".join(f"\\{c}" if c in "()[]\\" else c for c in text)
    if "BREAK" not in text and not any(w in text for w in ":"):
        assert "".join(s.text for s in parse(escaped).segments()) == text


@given(st.text(max_size=40, alphabet=st.characters(exclude_categories=["Cs"])))
def test_plain_has_no_syntax(text):
    assert parse(text, dialect="plain").segments() == (Segment(text, 1.0),)


@pytest.mark.parametrize(
    ("text", "message", "pointed"),
    [
        ("a (cat", "never closed", "("),
        ("a [cat:dog:0.5] b", "schedules are not supported", "[cat:dog:0.5]"),
        ("[cow|horse]", "schedules are not supported", "[cow|horse]"),
        ("[cat::.5]", "schedules are not supported", "[cat::.5]"),
        ("cat:1.3) b", "closes no bracket", ":1.3)"),
        ("(a BREAK b)", "BREAK inside", "BREAK"),
        ("a cat AND a dog", "composition with AND", "AND"),
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
    assert parse("a (red:1.3) ball, [dim], ((b)), time 10:30, BREAK \\(x\\)").diagnostics == ()


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


def test_lone_surrogate_is_an_error_and_prints():
    with pytest.raises(PromptSyntaxError, match="surrogate") as raised:
        parse("a \ud800 b")
    str(raised.value).encode()


def test_unknown_dialect_names_the_known():
    with pytest.raises(ClipcondError, match="no dialect 'compol'; there are a1111, plain"):
        parse("a", dialect="compol")


# in a process of its own: here every function is wrapped by the shape checker
TIMING = """
import json, sys, time
from clipcond import parse

def best(text):
    times = []
    for _ in range(4):
        start = time.process_time()
        parse(text)
        times.append(time.process_time() - start)
    return min(times)

print(json.dumps([best(text) for text in json.load(sys.stdin)]))
"""
UNITS = [
    "word ",
    "(a)",
    "a, (b:1.1) ",
    ": ",
    "a:b",
    "BREAK ",
    "\\(",
    "[a:b:0.5]",
    " ",
    "]",
    "\0\n",
    "(a) [b] ",
]


def seconds(texts: list[str]) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", TIMING],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_time_is_linear():
    # four times the text in about four times the time; a quadratic parser would take sixteen
    short = [unit * (50_000 // len(unit)) for unit in UNITS]
    times = seconds([text * n for text in short for n in (1, 4)])
    for unit, once, four in zip(UNITS, times[::2], times[1::2], strict=True):
        assert four < 9 * once + 0.02, repr(unit)


def test_a_megabyte_takes_less_than_a_second():
    text = "a photo of a cat, (red:1.3) ball, [dim light], " * 22_000
    assert len(text) > 1_000_000
    assert seconds([text])[0] < 1
