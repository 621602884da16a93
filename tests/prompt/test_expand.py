"""expand: what is chosen, that a seed decides it, and what is refused."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt import expand
from clipcond.prompt.hints import MAX_DEPTH
from tests.prompt.texts import any_text, texts_of

QUIET = any_text(without="{}_$")
PIECES = texts_of(["|", "\\|", *r"a,{,},2$$,1-2$$, and $$,0.5::,__,\{,\,__x__,_,$, ".split(",")])


def outcomes(text, count=200, **options):
    return Counter(expand(text, seed=seed, **options) for seed in range(count))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sky").mkdir()
    (tmp_path / "colour.txt").write_text(
        "# colours\nred\n\n  blue # not green\r\nC#\n", encoding="utf-8-sig"
    )
    (tmp_path / "sky" / "kind.txt").write_text("__colour__ {dawn|dusk}\n")
    (tmp_path / "self.txt").write_text("x\ny __self__\n")
    (tmp_path / "loop.txt").write_text("a __loop__\n")
    (tmp_path / "many.txt").write_text("__many__ __many__\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "open.txt").write_text("a {b|c\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("a {red|blue} ball", {"a red ball", "a blue ball"}),
        ("{a|b|}", {"a", "b", ""}),
        ("{a}", {"a"}),
        ("{{a|b} c|d}", {"a c", "b c", "d"}),
        ("{2$$a|b|c}", {"a, b", "b, a", "a, c", "c, a", "b, c", "c, b"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{1-2$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{-1$$a|b}", {"a", "b"}),
        ("{2-$$ & $$a|b}", {"a & b", "b & a"}),
        ("{5$$a|b}", {"a, b", "b, a"}),
        ("{0-1$$a}", {"", "a"}),
        ("{2$$$$a|b}", {"ab", "ba"}),
        ("{0::a|0.5::b}", {"b"}),
        ("{[a|b]|c}", {"[a", "b]", "c"}),
        (r"{[a\|b]|c}", {"[a|b]", "c"}),
        (r"\{a|b\}", {"{a|b}"}),
        (r"\__colour__", {"__colour__"}),
        (r"\\{a|b}", {r"\\a", r"\\b"}),
        ("__colour__", {"red", "blue", "C#"}),
        ("__sky/kind__", {f"{c} {t}" for c in ("red", "blue", "C#") for t in ("dawn", "dusk")}),
        ("{2$$ $$__colour__}", {"red blue", "blue red", "red C#", "C# red", "blue C#", "C# blue"}),
        ("{__colour__|x}", {"red", "blue", "C#", "x"}),
    ],
)  # fmt: skip
def test_what_is_chosen(folder, text, possible):
    assert set(outcomes(text, wildcards=folder)) == possible


def test_weights_are_shares():
    assert 1400 < outcomes("{3::a|b}", 2000)["a"] < 1600
    assert 560 < outcomes("{a|b|c}", 2000)["b"] < 780
    assert 1650 < outcomes("{9::a|b}", 2000)["a"] < 1950
    first = Counter(text[0] for text in outcomes("{2$$8::a|b|c}", 1000).elements())
    assert 740 < first["a"] < 860


@given(QUIET)
def test_text_without_such_syntax_is_itself(text):
    assert expand(text, seed=3) == text


@pytest.mark.parametrize(
    "text",
    [r"a \(b\), (c:1.2) [d|e] <lora:x_y:1> AND \\ \| :|", "snake_case __ and __ ____ a__b $5 $$"],
)
def test_other_syntax_is_left_as_it_is(text):
    assert expand(text) == text


def test_a_seed_decides_on_every_platform():
    assert expand("{a|b|c|d} {2$$1|2|3|4} {0.1::x|y}", seed=7) == "d 3, 2 x"
    assert expand("{a|b|c|d}") == expand("{a|b|c|d}", seed=0)
    script = "import clipcond, json; print(json.dumps([clipcond.expand('{a|b|c}', s) for s in range(40)]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert json.loads(done.stdout) == [expand("{a|b|c}", s) for s in range(40)]


def test_wildcards_may_hold_themselves_but_not_for_ever(folder):
    assert {"x", "y x", "y y x"} <= set(outcomes("__self__", wildcards=folder))
    for name in ("loop", "many"):
        with pytest.raises(PromptSyntaxError, match=f"without end: .*{name} -> {name}") as raised:
            expand(f"__{name}__", wildcards=folder)
        assert raised.value.hint


@pytest.mark.parametrize(
    ("text", "message", "pointed", "repair"),
    [
        ("a {b|c", "never closed", "{", "close it with }"),
        ("{a|{b|c}", "never closed", "{", "\\{"),
        ("a} b", "closes nothing", "}", "\\}"),
        ("a __color__", "no wildcard 'color'", "__color__", "did you mean __colour__?"),
        ("__sky__", "no wildcard 'sky'", "__sky__", "no sky.txt"),
        ("__../colour__", "no wildcard", "__../colour__", ""),
        ("__col*__", "no wildcard", "__col*__", ""),
        ("__empty__", "has no option", "__empty__", "one a line"),
        ("__open__", "in a line of the wildcard 'open': '{' is never closed", "{", "close"),
        ("{2-1$$a|b}", "more than at most", "2-1$$", "smaller first"),
        ("{0::a}", "weights are 0", "{0::a}", "more"),
        ("a ${b=c} ${b}", "variables", "${", "words"),
        ("\ud800", "surrogate", "\ud800", ""),
    ],
)
def test_what_is_refused(folder, text, message, pointed, repair):
    with pytest.raises(PromptSyntaxError, match=message.replace("{", r"\{")) as raised:
        expand(text, wildcards=folder)
    error = raised.value
    assert error.text[slice(*error.span)] == pointed
    assert repair in error.hint
    assert "^" in str(error)


def test_without_a_folder_the_repair_is_one():
    with pytest.raises(PromptSyntaxError, match="no wildcard 'x'") as raised:
        expand("__x__")
    assert "a folder with x.txt" in raised.value.hint


def test_folders_and_files_that_cannot_be_read(folder):
    with pytest.raises(ClipcondError, match="no folder 'nowhere'"):
        expand("a", wildcards="nowhere")
    with pytest.raises(ClipcondError, match=r"latin\.txt is no UTF-8 text"):
        expand("__latin__", wildcards=folder)


def test_depth_is_bounded_and_nothing_recurses():
    assert expand("{" * MAX_DEPTH + "a" + "}" * MAX_DEPTH) == "a"
    with pytest.raises(PromptSyntaxError, match="nested deeper"):
        expand("{" * (MAX_DEPTH + 1))


@given(PIECES)
def test_nothing_is_raised_but_syntax_errors(text):
    try:
        expand(text)
    except PromptSyntaxError as error:
        start, end = error.span
        assert text[start:end], str(error)  # noqa: PT017 - most texts raise nothing


# in a process of its own: here the shape checker would refuse them first
WRONG = """
import json, numpy, clipcond
from clipcond.prompt import convert, expand, parse

readers = [parse, expand, lambda text: convert(text, "a1111", "comfy"), lambda text: parse("a", text)]
calls = [(reader, wrong) for reader in readers for wrong in (None, b"a", 3, ["a"], {"a": 1}, numpy.array(["a"]))]
calls += [(lambda seed: expand("a", seed), wrong) for wrong in (None, "1", 1.5)]
calls += [(lambda folder: expand("a", wildcards=folder), wrong) for wrong in (3, ["a"])]
messages = []
for call, wrong in calls:
    try:
        call(wrong)
    except clipcond.ClipcondError as error:
        messages.append(str(error))
print(json.dumps([len(calls), messages]))
"""


def test_what_is_no_text_is_one_clear_error():
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, check=True)
    calls, messages = json.loads(done.stdout)
    assert len(messages) == calls
    assert messages[0] == 'a prompt is a str, not NoneType: None; an empty prompt is ""'
    assert messages[1] == "a prompt is a str, not bytes: b'a'; decode it: text.decode()"
    assert "not ndarray: array(['a']" in messages[5]
    assert all("\n" not in message for message in messages)
