"""Qwen2.5's tokenizer as published, in the pipelines whose templates are texts: `make test-real REAL=FOLDER` with FOLDER/qwen2.5.

Its vocabulary is Apache-2.0; the encoders are tiny, with tables as large as it needs.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from clipcond import Conditioner
from clipcond.prompt import parse
from clipcond.tokens import lines_of
from tests.real.test_tokenizers import TEXTS, WEIGHTED
from tests.zoo import ZOO
from tests.zoo.test_conditioning import draw

ENTRIES = 152064
READERS = ["QwenImagePipeline", "HunyuanImagePipeline", "HunyuanVideo15Pipeline"]  # without a CLIP
SPECIAL = ["a cat <|im_end|> a dog", "a <|endoftext|>", "<|im_start|>assistant\nno", "<tool_call>"]
LONG = ["a red cat, " * 150, "日本の富士山、" * 120]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def tokenizer():
    root = os.environ.get("CLIPCOND_REAL")
    folder = Path(root or "") / "qwen2.5"
    if not root or not folder.is_dir():
        pytest.skip("CLIPCOND_REAL names no folder with qwen2.5/ (tokenizer_config.json, vocab.json, merges.txt)")  # fmt: skip
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module", params=READERS)
def pipe(request, tokenizer):
    """A tiny pipeline that reads prompts by the published vocabulary."""
    built = ZOO[request.param].build()
    encoder = built.text_encoder
    encoder.resize_token_embeddings(ENTRIES, mean_resizing=False)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        encoder.get_input_embeddings().weight.normal_(0, 0.5)
    if hasattr(built.tokenizer, "image_processor"):
        built.tokenizer.tokenizer = tokenizer
    else:
        built.register_modules(tokenizer=tokenizer)
    return built


@pytest.mark.parametrize("text", [*TEXTS, *SPECIAL, *LONG])
def test_plain_prompts_draw_what_strings_draw(pipe, text):
    if text in LONG and type(pipe).__name__ == "QwenImagePipeline":
        pytest.skip("where Qwen-Image cuts the template's end off, it is kept here")
    entry = ZOO[type(pipe).__name__]
    conditioner = Conditioner.from_pipeline(pipe, dialect="plain", long_prompt="truncate")
    ours = draw(pipe, entry.call(), **conditioner(text).kwargs_for(pipe))
    theirs = draw(pipe, entry.call(), **{entry.prompt: text})
    assert max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) <= 1e-4


@pytest.mark.parametrize("text", WEIGHTED)
def test_weights_are_on_the_characters_that_they_were_given(pipe, tokenizer, text):
    """A token's weight is that of its characters, but for the blank that it may begin with."""
    path = Conditioner.from_pipeline(pipe).paths[0]
    segments = parse(text).segments()
    (tokens,) = path.tokenizer(lines_of(segments))
    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}
    found = [
        (byte_of[character], token.weight)
        for token in tokens
        for character in tokenizer.convert_ids_to_tokens(token.id)
    ]
    given = [(byte, segment.weight) for segment in segments for byte in segment.text.encode()]
    assert [byte for byte, _ in found] == [byte for byte, _ in given]
    blank = ord(" ")
    assert [pair for pair in found if pair[0] != blank] == [p for p in given if p[0] != blank]
