"""A1111's tags: which words are tags, what their arguments are, and what becomes of them in other dialects."""

import pickle
import warnings

import pytest
from hypothesis import given

from clipcond.errors import PromptConversionWarning, PromptSyntaxError
from clipcond.prompt import convert, parse, render
from clipcond.prompt.a1111_tags import read
from tests.prompt.texts import texts_of

PIECES = texts_of([*"<>:=a#\n (", "lora", "<lora:x:1>", "<a:b=c>", " AND ", "BREAK"], most=14)


@pytest.mark.parametrize(
    ("text", "kind", "positional", "named"),
    [
        ("<lora:x:0.8>", "lora", ("x", "0.8"), {}),
        ("<hypernet:ink:0.6>", "hypernet", ("ink", "0.6"), {}),
        ("<lora:ink:te=0.5:unet=1>", "lora", ("ink",), {"te": "0.5", "unet": "1"}),
        ("<LoRA:x:1>", "LoRA", ("x", "1"), {}),
        ("<locon:x>", "locon", ("x",), {}),
        ("<a:b>", "a", ("b",), {}),
        ("<a:b=c=d:e=>", "a", ("b=c=d",), {"e": ""}),
        ("<lora:x\n y:1>", "lora", ("x\n y", "1"), {}),
        ("<a:<b:c>", "a", ("<b", "c"), {}),
    ],
)
def test_every_word_and_colon_in_angle_brackets_is_a_tag(text, kind, positional, named):
    prompt = parse(f"a {text}cat")
    (tag,) = prompt.tags
    assert (tag.kind, tag.positional, dict(tag.named)) == (kind, positional, named)
    assert prompt.text[slice(*tag.span)] == text
    assert prompt.without_tags.segments() == (("a cat", 1.0),)
    assert prompt.without_tags.tags == prompt.without_tags.loras == ()
    assert prompt.diagnostics, "nothing is taken out without a word"


@pytest.mark.parametrize("text", ["<a:>", "<a b:c>", "<:b>", "< a:b>", "<a:b", "a:b>", "i <3 a: b"])
def test_what_is_no_tag_stays(text):
    assert parse(text).tags == ()


@pytest.mark.parametrize(
    ("tag", "weights"),
    [
        ("<lora:x>", (1.0, 1.0)),
        ("<lora:x:0.8>", (0.8, 0.8)),
        ("<lora:x:0.8:0.5>", (0.8, 0.5)),
        ("<lora:x:te=0.5:unet=1>", (0.5, 1.0)),
        ("<lora:x:0.8:unet=0.2>", (0.8, 0.2)),
        ("<lora:x:0.8:te=0.5>", (0.5, 0.5)),
        ("<lora:x:0.8:0.3:te=0.5>", (0.5, 0.3)),
        ("<lora:te=0.5:x>", (0.5, 0.5)),
        ("<lyco:x: 1e-1 >", (0.1, 0.1)),
    ],
)
def test_the_two_weights_of_a_lora(tag, weights):
    (lora,) = parse(tag).loras
    assert (lora.name, lora.weight, lora.unet_weight) == ("x", *weights)
    assert lora.span == parse(tag).tags[0].span


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("<lora:x:high>", "weight is no number"),
        ("<lora:x:0.5:nan>", "weight is no number"),
        ("<lora:x:unet=>", "weight is no number"),
        ("<lora::1>", "no name"),
        ("<lora:te=1>", "no name"),
        ("<LoRA:x:1>", "nothing here reads it"),
        ("<hypernet:x:1>", "nothing here reads it"),
        ("<lora:x:1 a cat", "never closed"),
        ("< lora:x:1> a cat", "never closed, or has blanks"),
    ],
)
def test_tags_that_name_no_lora_are_noted(tag, message):
    prompt = parse(tag)
    assert prompt.loras == ()
    assert message in prompt.diagnostics[0].message
    assert prompt.diagnostics[0].hint


def test_tags_are_values():
    (tag,) = parse("<lora:x:te=1>").tags
    assert pickle.loads(pickle.dumps(tag)) == tag
    assert hash(tag) == hash(parse("<lora:x:te=1>").tags[0])
    assert render(parse("<x:y>")) == "<x:y>"
    assert parse("<lora:x:1:2>") != parse("<lora:x:1:3>")


@given(PIECES)
def test_tags_are_those_of_the_web_ui(text):
    """Its pattern and its splitting, written out."""
    import re

    found = [(m[1], m[2].split(":"), m.span()) for m in re.finditer(r"<(\w+):([^>]+)>", text)]
    assert [(tag.kind, tag.span) for tag in read(text).tags] == [(k, span) for k, _, span in found]
    for tag, (_, items, _) in zip(read(text).tags, found, strict=True):
        assert list(tag.positional) == [item for item in items if item.count("=") != 1]


@given(PIECES)
def test_prompts_with_tags_and_comments_render_as_themselves(text):
    try:
        prompt = parse(text)
    except PromptSyntaxError:
        return
    for one in (prompt, prompt.without_tags):
        assert parse(render(prompt)) == prompt
        for fragment in one.fragments() if not one.joined else ():
            assert 0 <= fragment.span[0] <= fragment.span[1] <= len(text)


@pytest.mark.parametrize(
    ("text", "target", "converted", "loss"),
    [
        ("<lora:x:1:0.5>a", "compel", "a withLora(x, 1)", "has one weight here"),
        ("<hypernet:ink:1>a", "compel", "a", "tags are not kept: <hypernet:ink:1>"),
        ("<lora:x:1><a:b>c", "plain", "c", "LoRAs are not kept: x"),
        ("<lora:x:y>c", "comfy", "c", "tags are not kept: <lora:x:y>"),
    ],
)
def test_what_other_dialects_lose_is_said(text, target, converted, loss):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PromptConversionWarning)
        assert convert(text, "a1111", target) == converted
    assert loss in str(caught[0].message)


def test_text_that_looks_like_a_tag_is_written_as_text():
    assert convert("a <b:c> d", "plain", "a1111") == "a <b():c> d"
    assert parse("a <b():c> d").without_tags.segments() == (("a <b:c> d", 1.0),)
