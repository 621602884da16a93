"""Comments: what the two programs take out, where the rest stands, and what is said of signs meant as text."""

import re
import warnings

import pytest
from hypothesis import given

from clipcond.errors import PromptSyntaxError
from clipcond.prompt import convert, parse, render
from clipcond.prompt.comfy import comments
from tests.prompt.texts import texts_of

LINES = texts_of(["#", "\n", "a", " ", "(b:1.2)", " AND ", "<lora:x:1>", ":2"])
SLASHES = texts_of(["//", "/*", "*/", "/", "*", "\n", "a", "(b:1.2)", ")"])


def said(text, dialect="a1111"):
    return "".join(segment.text for segment in parse(text, dialect).segments())


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a cat # and a note", "a cat "),
        ("a cat # note\non a mat", "a cat \non a mat"),
        ("a\n# a whole line\nb", "a\nb"),
        ("# first\na", "\na"),
        ("a\n#b\n#c\nd", "a\n\nd"),
        ("#only", ""),
        ("C# logo", "C"),
    ],
)
def test_hashes_of_the_web_ui(text, rest):
    assert said(text) == rest
    assert parse(text).schedule(5) == ((5, rest),)
    for dialect in ("comfy", "compel", "plain"):
        assert "#" in said(text, dialect)


@given(LINES)
def test_hashes_are_those_of_the_web_ui(text):
    """Its two patterns, written out; it also ends a prompt that ends in a comment with a new line."""
    theirs = re.sub("(^|\n)#[^\n]*(\n|$)", "\n", text)
    theirs = re.sub("#[^\n]*(\n|$)", "\n", theirs)
    assert parse(text).schedule(1)[0][1].strip("\n") == theirs.strip("\n")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a cat // and a note", "a cat "),
        ("a // b\nc", "a \nc"),
        ("a /* b\nc */d", "a d"),
        ("a /* b // c */ d // e", "a  d "),
        ("a /* b", "a /* b"),
        ("a /*/ b", "a /*/ b"),
        ("a /**/b", "a b"),
        ("//*\nb*/c", "\nb*/c"),
        ("x // y\u2028z", "x \u2028z"),
    ],
)
def test_slashes_of_comfyui(text, rest):
    assert said(text, "comfy") == rest
    for dialect in ("a1111", "compel", "plain"):
        assert "/" in said(text, dialect)


@given(SLASHES)
def test_slashes_are_those_of_comfyui(text):
    theirs = re.sub(r"/\*[\s\S]*?\*/|//[^\n\r\u2028\u2029]*", "", text)
    edges = [0, *(at for span in comments(text) for at in span), len(text)]
    ours = "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("a # (x)\n(red:1.3) [b] # y\n c", "a1111"),
        ("# x\n<lora:z:1> a [(red:1.3):b:3]", "a1111"),
        ("a // (x)\n(red:1.3) /* b */ c", "comfy"),
    ],
)
def test_spans_are_in_the_text_as_typed(text, dialect):
    prompt = parse(text, dialect)
    for one in (prompt, prompt.without_tags):
        (red,) = (f for f in one.fragments() if f.text == "red")
        assert text[slice(*red.span)] == "red"
    for tag in prompt.tags:
        assert text[slice(*tag.span)] == "<lora:z:1>"


@pytest.mark.parametrize(
    ("text", "dialect"), [("# x\n a (b:1.2.3)", "a1111"), ("/* x */(b:inf)", "comfy")]
)
def test_errors_and_notes_point_at_the_text_as_typed(text, dialect):
    with pytest.raises(PromptSyntaxError, match="not a finite number") as raised:
        parse(text, dialect)
    assert text[slice(*raised.value.span)] in ("1.2.3", "inf")
    (note,) = parse("a // (\n(b", "comfy").diagnostics
    assert note.span == (7, 8)


def test_a_comment_hides_syntax_and_is_no_tag():
    prompt = parse("a # AND <lora:x:1> (b\nc")
    assert prompt.joined == ""
    assert prompt.tags == prompt.diagnostics == ()
    assert parse("<lora:a # b\n:1>").tags[0].positional == ("a \n", "1")


@pytest.mark.parametrize(
    ("text", "dialect", "sign"),
    [
        ("a C# logo, red", "a1111", "#"),
        ("we are #1", "a1111", "#"),
        ("sunset #art", "a1111", "#"),
        ("a page of http://x.org, red", "comfy", "//"),
    ],
)
def test_signs_that_were_meant_as_text_are_noted(text, dialect, sign):
    (note,) = parse(text, dialect).diagnostics
    assert repr(sign) in note.message
    assert text[note.span[0] :].startswith(sign)
    assert note.hint


@pytest.mark.parametrize("text", ["a # b", "a\n#b\nc", "# b", "a #", "a // b", "a /* b */"])
def test_plain_comments_are_not(text):
    assert parse(text, "comfy" if "/" in text else "a1111", strict=True)


@given(SLASHES)
def test_comfy_prompts_with_comments_render_as_themselves(text):
    try:
        prompt = parse(text, "comfy")
    except PromptSyntaxError:
        return
    assert parse(render(prompt), "comfy") == prompt


def test_converting():
    assert convert("a # b\nc", "a1111", "plain") == "a \nc"
    assert convert("http://x /* y */", "plain", "comfy") == "http:/()/x /()* y */"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert("a C# logo", "plain", "a1111")
    assert "'#'" in str(caught[0].message)
