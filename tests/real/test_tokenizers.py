"""Tokenizers as published: `make test-real REAL=FOLDER`, where FOLDER/sdnext holds them (links.json: equal files once)."""

import json
import os
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from clipcond.prompt import parse
from clipcond.tokens import Line, PromptTokenizer, lines_of, policy_named

SLOTS = {
    "sd15/tokenizer": "clip",
    "sdxl/tokenizer": "clip",
    "sdxl/tokenizer_2": "clip",
    "sdxl-refiner/tokenizer_2": "clip",
    "sd3/tokenizer": "clip",
    "sd3/tokenizer_2": "clip",
    "flux/tokenizer": "clip",
    "sd3/tokenizer_3": "t5",
    "flux/tokenizer_2": "t5",
}
TEXTS = [
    "a red cat on a mat, 4k, don't",
    "café cafe\u0301 naïve Straße İstanbul",
    "日本の富士山、桜 서울의 밤 แมวนั่ง قطة",
    "👨‍👩‍👧‍👦 🏳️‍🌈 ☕ 𝓫𝓮𝓪𝓾𝓽𝓲𝓯𝓾𝓵 ﬁne ½ ＦＵＬＬ",  # noqa: RUF001 - as people type
    "first\nsecond   line\u00a0here  ",
    "mother-in-law's “quoted” — it’s … re-use",  # noqa: RUF001 - as people type
    "",
]
WEIGHTED = [
    "red(blue)green",
    "1 person(smiling), (tent)mountains",
    "(film grain:1.3)(warm hue)",
    ",(^_^),b",
    "(日本:1.3)の(富士山:0.7)、桜",
]


@pytest.fixture(scope="module", params=SLOTS)
def published(request, tmp_path_factory):
    """(kind, transformers' tokenizer)."""
    root = os.environ.get("CLIPCOND_REAL")
    if not root:
        pytest.skip(
            "CLIPCOND_REAL names no folder of published tokenizers: make test-real REAL=..."
        )
    source, folder = Path(root) / "sdnext", tmp_path_factory.mktemp("tokenizer")
    links = json.loads((source / "links.json").read_text())
    for file in (source / request.param).iterdir():
        shutil.copy(file, folder)
    for name, at in links.items():
        if Path(name).parent == Path(request.param):
            shutil.copy(source / at, folder / Path(name).name)
    return SLOTS[request.param], AutoTokenizer.from_pretrained(folder)


def adapted(kind, tokenizer):
    return PromptTokenizer(tokenizer, 77 if kind == "clip" else 512, windowed=kind == "clip")


def plain_ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


@pytest.mark.parametrize("text", TEXTS)
def test_plain_prompts_have_the_tokenizers_ids(published, text):
    kind, tokenizer = published
    (tokens,) = adapted(kind, tokenizer)([Line(text, ((len(text), 1.0),))])
    assert [token.id for token in tokens] == plain_ids(tokenizer, text)


@pytest.mark.parametrize("text", WEIGHTED)
def test_each_weighted_segment_is_tokenised_by_itself(published, text):
    kind, tokenizer = published
    segments = [segment for segment in parse(text).segments() if segment.text.strip()]
    (line,) = lines_of(parse(text).segments())
    (tokens,) = adapted(kind, tokenizer)([line])
    expected = [
        (token, segment.weight)
        for segment in segments
        for token in plain_ids(tokenizer, segment.text)
    ]
    assert [(token.id, token.weight) for token in tokens] == expected


@pytest.mark.parametrize("typed", ["<|endoftext|>", "<|startoftext|>", "</s>"])
def test_what_is_typed_ends_no_text(published, typed):
    kind, tokenizer = published
    text = f"a cat {typed} a dog"
    (tokens,) = adapted(kind, tokenizer)([Line(text, ((len(text), 1.0),))])
    assert not {t.id for t in tokens} & {tokenizer.bos_token_id, tokenizer.eos_token_id}


@pytest.mark.parametrize("policy", ["a1111", "comfy", "sentence", "truncate"])
def test_no_window_parts_a_character(published, policy):
    kind, tokenizer = published
    text, own = "a" + "富" * 200, adapted(kind, tokenizer)
    cut = policy_named(policy)(own([Line(text, ((len(text), 1.0),))]), own.frame.room, own.comma)
    assert all("\ufffd" not in tokenizer.decode([t.id for t in chunk]) for chunk in cut.chunks)
