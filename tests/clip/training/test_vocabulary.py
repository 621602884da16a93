"""A vocabulary is a function of the captions, in CLIP's form."""

import subprocess
import sys

import pytest

from clipcond.clip.training import vocabulary
from clipcond.errors import CheckpointError, ClipcondError
from tests.clip.training.small_clips import CAPTIONS

PRINTED = """
from clipcond.clip.training.vocabulary import learn
captions = [f"a {c} {n}" for n in "fox bird tree digit seven".split() for c in "red blue green".split()]
print(learn(captions[::STEP], 560).backend_tokenizer.to_str())
"""


def test_is_clips_form_with_the_end_last():
    tokenizer = vocabulary.learn(CAPTIONS * 3, 2048)
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    assert tokenizer.model_max_length == 77
    start, *words, end = tokenizer("A red  Fox")["input_ids"]
    assert tokenizer.convert_ids_to_tokens([start, *words, end]) == [
        "<|startoftext|>", "a</w>", "red</w>", "fox</w>", "<|endoftext|>",
    ]  # fmt: skip
    # what no caption had is read all the same
    assert tokenizer.decode(tokenizer("żółw 亀")["input_ids"][1:-1]).strip() == "żółw 亀"


def test_keeps_to_the_size():
    assert len(vocabulary.learn(CAPTIONS * 3, 520)) == 520
    assert len(vocabulary.learn([], 2048)) == 514
    with pytest.raises(ClipcondError, match="got 100 tokens; bytes and special tokens are 514"):
        vocabulary.learn(CAPTIONS, 100)


def test_is_the_same_in_another_process_and_another_order():
    runs = [
        subprocess.run(
            [sys.executable, "-c", PRINTED.replace("STEP", step)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for step in ("1", "-1")
    ]
    assert runs[0] == runs[1]
    assert "digit</w>" in runs[0]


def test_clips_own_is_asked_for_where_no_package_carries_it(monkeypatch):
    monkeypatch.setattr("clipcond.clip.tokenizer._PACKAGES", ())
    with pytest.raises(CheckpointError, match=r"RN50: no tokenizer beside it.*pass tokenizer="):
        vocabulary.clips_own("RN50")
