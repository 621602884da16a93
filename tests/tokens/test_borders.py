"""Where weights change, a text is parted, as AUTOMATIC1111 and ComfyUI part it; nowhere else."""

import json
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from clipcond.prompt import Segment, parse
from clipcond.tokens import PromptTokenizer, Template, TemplateTokenizer, Vectors, lines_of
from tests.doubles import t5_tokenizer
from tests.prompt.texts import any_text
from tests.tiny import clip_tokenizer
from tests.zoo.language_models import qwen_tokenizer

FILE = json.loads(Path(__file__).with_name("clip_words.json").read_text(encoding="utf-8"))
OPENAI = CLIPTokenizer(vocab=FILE["vocab"], merges=[tuple(m.split()) for m in FILE["merges"]])
CLIP = PromptTokenizer(OPENAI, 77)
TINY = PromptTokenizer(clip_tokenizer(), 77)
T5 = PromptTokenizer(t5_tokenizer(), 64, windowed=False)
QWEN = TemplateTokenizer(qwen_tokenizer(), 64, Template(text="Say:\n{}<|im_end|>\n", crop=2))
TEXT = any_text(most=12)


def read(text, dialect="a1111", tokenizer=CLIP):
    prompt = parse(text, dialect)
    lines = lines_of(prompt.segments(), prompt.separator)
    return [token for line in tokenizer(lines) for token in line]


@pytest.mark.parametrize("dialect", ["a1111", "comfy"])
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("red(blue)green", [736, 1746, 1901]),
        (
            "1 person(smiling), (tent)mountains",
            [272, 2533, 9200, 267, 10782, 5873],
        ),
        ("(film grain:1.3)(warm hue)", [1860, 12109, 3616, 21465]),
        (",(^_^),b", [267, 15995, 267, 321]),
        ("master(piece:1.2)best", [3498, 2754, 949]),
        ("(master:1.0)piecebest", [4534, 39632, 949]),  # no change of weight, no border
        ("(master:1)(piece:1)best", [4534, 39632, 949]),
        ("masterpiecebest", [4534, 39632, 949]),
    ],
)
def test_each_weighted_segment_is_tokenised_by_itself(text, ids, dialect):
    """The ids of OpenAI's tokenizer for each segment alone, with the ends of words where the segments end."""
    assert [t.id for t in read(text, dialect)] == ids


def test_compel_joins_with_blanks_and_plain_has_no_weights():
    assert [t.id for t in read("red (blue)1.2 green", "compel")] == [736, 1746, 1901]
    assert [t.text for t in read("red(blue)green", "plain")] == ["red", "(", "blue", ")", "green"]


def test_break_in_brackets_is_a_word_of_its_own():
    got = read("(cat BREAK dog:1.2)")
    assert [(t.text, t.weight) for t in got] == [("cat", 1.2), ("BREAK", -1.2), ("dog", 1.2)]
    assert [t.id for t in got] == [2368, 2568, 1929]
    got = read("(a BREAK b:1.2)")
    assert [(t.text, t.weight) for t in got] == [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]


@pytest.mark.parametrize("tokenizer", [TINY, T5, QWEN], ids=["clip", "t5", "qwen"])
@given(parts=st.lists(st.tuples(TEXT, st.sampled_from([1.0, 1.3, 0.0, -1.2])), max_size=6))
def test_no_token_has_two_weights(tokenizer, parts):
    """Every token lies within one segment, or within neighbours of one weight, and has that weight."""
    segments = [Segment(text.replace("\n", " "), weight) for text, weight in parts]
    weights = [weight for text, weight in segments for _ in text]
    text = "".join(text for text, _ in segments)
    if tokenizer is QWEN:  # which refuses texts that its template would swallow
        segments = [Segment("a", 1.0), *segments, Segment("a", 1.0)]
        text, weights = f"a{text}a", [1.0, *weights, 1.0]
    (tokens,) = tokenizer(lines_of(segments))
    for token in tokens:
        end = token.start + len(token.text)
        own = [w for w, c in zip(weights[token.start : end], text[token.start : end], strict=True)]
        assert set(own) <= {token.weight}


@given(texts=st.lists(TEXT, max_size=5), weight=st.sampled_from([1.0, 1.4, -1.0]))
def test_equal_weights_are_one_text(texts, weight):
    (apart,) = TINY(lines_of([Segment(text, weight) for text in texts]))
    (whole,) = TINY(lines_of([Segment("".join(texts), weight)]))
    assert [(t.id, t.start, t.text) for t in apart] == [(t.id, t.start, t.text) for t in whole]


def test_a_language_model_has_the_blank_before_a_word_in_its_token():
    """Borders at blanks change no id; a border inside a word parts it."""
    plain = [t.id for t in read("a red cat, on sky", tokenizer=QWEN)]
    assert [t.id for t in read("a (red:1.3) cat, (on:0.4) sky", tokenizer=QWEN)] == plain
    got = read("a (red:1.3) cat, (on:0.4) sky", tokenizer=QWEN)
    heard = ["".join(t.text for t in own) for _, own in groupby(got, key=lambda t: t.weight)]
    assert heard == ["a", "red", "cat,", "on", "sky"]
    parted = read("re(d:1.3)", tokenizer=QWEN)
    assert "".join(t.text for t in parted if t.weight == 1) == "re"
    assert "".join(t.text for t in parted if t.weight == 1.3) == "d"


def test_t5_begins_each_segment_with_a_blank_as_its_tokenizer_does():
    own = t5_tokenizer()
    alone = [
        token
        for part in ("red", "cat", "sky")
        for token in own(part, add_special_tokens=False).input_ids
    ]
    got = read("red(cat:1.2)sky", tokenizer=T5)
    assert [t.id for t in got] == alone
    assert [(t.text, t.weight) for t in got] == [("red", 1.0), ("cat", 1.2), ("sky", 1.0)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("red(moss:1.2)cat", True),
        ("(red moss:1.2) cat", True),
        ("mo(ss:1.2)", False),
        ("redmoss", False),
    ],
)
def test_an_inversion_is_found_within_a_segment(text, found):
    tokenizer = PromptTokenizer(clip_tokenizer(), 77, inversions=(Vectors(("moss",), 9000, 2),))
    got = read(text, tokenizer=tokenizer)
    assert ([t.id for t in got if t.id >= 9000] == [9000, 9001]) is found
    assert {t.weight for t in got if t.id >= 9000} <= {1.2}
