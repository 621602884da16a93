"""Tokens: weights by character, what tokens cover, typed special tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond.prompt import Segment
from clipcond.tokens import PromptTokenizer, lines_of
from tests.doubles import t5_tokenizer
from tests.prompt.texts import any_text
from tests.tiny import clip_tokenizer

HF = clip_tokenizer()
TOKENIZER = PromptTokenizer(HF, 77)
TEXT = any_text(most=30)


def tokens(*segments, tokenizer=TOKENIZER):
    (got,) = tokenizer(lines_of([Segment(*segment) for segment in segments]))
    return got


def test_lines_join_segments_and_end_at_breaks():
    lines = lines_of(
        [Segment("a ", 1.0), Segment("b", 1.3), Segment("BREAK", -1), Segment("c", 1.0)]
    )
    assert [line.text for line in lines] == ["a b", "c"]
    assert lines[0].pieces == ((2, 1.0), (3, 1.3))
    assert [line.text for line in lines_of([])] == [""]
    (line,) = lines_of([Segment("a", 1.0), Segment("b", 1.3)], separator=" ")
    assert line == ("a b", ((1, 1.0), (3, 1.3)), 1)
    assert [line.first for line in lines] == [1, 4]  # fragments are numbered over the whole prompt


def test_each_token_has_the_weight_of_its_segment():
    got = [
        (t.text, t.weight) for t in tokens(("a ", 1.0), ("red cat", 1.3), (", ", 1.0), ("sky", 0.5))
    ]
    assert got == [("a", 1.0), ("red", 1.3), ("cat", 1.3), (",", 1.0), ("sky", 0.5)]


def test_no_token_is_across_segments():
    got = [(t.text, t.weight) for t in tokens(("re", 1.3), ("d", 1.0))]
    assert "".join(text for text, weight in got if weight == 1.3) == "re"
    assert got[-1] == ("d", 1.0)


def test_empty_segments_are_passed_over():
    assert [
        t.weight for t in tokens(("", 9.0), ("cat", 1.2), ("", 9.0), (" dog", 1.0), ("", 9.0))
    ] == [1.2, 1.0]


def test_every_byte_of_a_character_has_its_weight():
    got = tokens(("日", 1.5), ("本", 1.0))
    assert [t.weight for t in got] == [1.5] * 3 + [1.0] * 3
    assert [t.text for t in got] == ["日"] * 3 + ["本"] * 3


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_ids_are_those_of_each_segment_by_itself(texts):
    whole = "".join(texts)
    ids = [token for text in texts for token in HF(text)["input_ids"][1:-1]]
    got = tokens(*((text, 1.0 + i) for i, text in enumerate(texts)))
    if HF.eos_token_id not in ids and HF.bos_token_id not in ids:
        assert [t.id for t in got] == ids
    assert all(whole[t.start : t.start + len(t.text)] == t.text for t in got)
    assert all(1.0 <= t.weight <= len(texts) for t in got)


@given(TEXT)
def test_tokens_cover_all_that_is_no_blank(text):
    """Accents that are joined with their letters, and whatever else a tokenizer drops, are shown where they were."""
    got = tokens((text, 1.0))
    seen = {i for t in got for i in range(t.start, t.start + len(t.text))}
    words = {i for i, c in enumerate(text) if not c.isspace()}
    assert words <= seen or not got


@pytest.mark.parametrize("text", ["cafe\u0301", "s\u0326a", "e\u0301\u0323x"])
def test_an_accent_is_shown_with_its_letter(text):
    got = tokens((f"a {text} b", 1.0))
    shown = {t.start: t.text for t in got}
    assert "".join(shown.values()) == f"a{text}b"


def test_t5s_bare_blank_covers_nothing():
    got = tokens(("red x", 1.0), tokenizer=PromptTokenizer(t5_tokenizer(), 64, windowed=False))
    assert [t.text for t in got] == ["red", "", "x"]
    assert [t.id for t in got] == t5_tokenizer()("red x", add_special_tokens=False).input_ids


@pytest.mark.pitfall(31)
@pytest.mark.parametrize("typed", ["<|endoftext|>", "<|startoftext|>"])
@pytest.mark.parametrize("pad", ["<|endoftext|>", "!"])
def test_a_typed_special_token_stays_text(typed, pad):
    tokenizer = PromptTokenizer(clip_tokenizer(pad), 77)
    plain, hostile = tokenizer(
        lines_of([Segment("a cat", 1.0)]) + lines_of([Segment(f"a {typed} cat", 1.0)])
    )
    assert not {t.id for t in hostile} & {HF.bos_token_id, HF.eos_token_id}
    assert "".join(t.text for t in hostile).replace(" ", "") == f"a{typed}cat"
    assert len(plain) == 2


@pytest.mark.pitfall(31)
@pytest.mark.parametrize("text", ["a cat </s> a dog", "</s>", "red</s>", "</s></s> x", "a </s>b"])
def test_a_typed_end_of_t5_stays_text(text):
    hf = t5_tokenizer()
    assert (
        hf.eos_token_id in hf(text, add_special_tokens=False, split_special_tokens=True).input_ids
    )
    got = tokens((text, 1.0), tokenizer=PromptTokenizer(hf, 64, windowed=False))
    assert hf.eos_token_id not in {t.id for t in got}
    assert "".join(t.text for t in got) == text.replace(" ", "")
    without = hf(text.partition("</s>")[0], add_special_tokens=False).input_ids
    assert [t.id for t in got][: len(without)] == without


@pytest.mark.pitfall(31)
def test_a_typed_padding_character_follows_the_pipeline():
    tokenizer = PromptTokenizer(clip_tokenizer("!"), 77)
    got = tokens(("cat!", 1.0), tokenizer=tokenizer)
    assert [t.id for t in got] == clip_tokenizer("!")("cat!")["input_ids"][1:-1]
    assert got[-1].id == tokenizer.frame.pad


def test_frame_fills_a_window():
    frame = TOKENIZER.frame
    chunk = frame.fill(tokens(("cat", 1.3)))
    assert list(chunk.ids) == HF("cat", padding="max_length")["input_ids"]
    assert chunk.weights == (1.0, 1.3, *[1.0] * 75)
    assert list(frame.empty.ids) == HF("", padding="max_length")["input_ids"]
