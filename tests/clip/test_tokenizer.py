"""Where a tokenizer comes from when the checkpoint carries none."""

import gzip
import itertools

import pytest
import torch

from clipcond.clip import load_clip
from clipcond.errors import CheckpointError
from tests.clip.openai_model import openai_clip
from tests.tiny import clip_bpe, clip_tokenizer, save_tiny_clip

MERGES = 48894


def openai_merges():
    """As many lines as OpenAI's file is read for: the tiny tokenizer's, then made-up ones of rare characters."""
    known = [" ".join(pair) for pair in clip_bpe()[1]]
    known = list(dict.fromkeys(known))
    rare = [chr(c) for c in range(0xA1, 0x100) if c != 0xAD]
    made_up = (f"{a}{b} {c}" for a, b, c in itertools.product(rare, rare, rare))
    lines = known + [f"{a} {b}" for a, b in itertools.product(rare, rare)]
    lines += itertools.islice(made_up, MERGES - len(lines))
    return ["#version: 0.2", *lines, "never read"]


@pytest.fixture(scope="module")
def vocabulary_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("bpe") / "bpe_simple_vocab_16e6.txt.gz"
    file.write_bytes(gzip.compress("\n".join(openai_merges()).encode(), compresslevel=1))
    return file


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A file whose text tower knows OpenAI's 49,408 tokens, and no tokenizer."""
    file = tmp_path_factory.mktemp("bare") / "model.pt"
    torch.save(openai_clip(vocabulary=49408).state_dict(), file)
    return file


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.pt"
    torch.save(openai_clip().state_dict(), file)
    return file


def refused(file, *quotes, **options):
    with pytest.raises(CheckpointError) as caught:
        load_clip(file, **options)
    for quote in quotes:
        assert quote in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.pitfall(4)
def test_openais_vocabulary_becomes_a_clip_tokenizer(bare, vocabulary_file):
    tokenizer = load_clip(bare, tokenizer=vocabulary_file).tokenizer
    assert len(tokenizer) == 49408
    ids = tokenizer("a cat <|endoftext|>")["input_ids"]
    assert (ids[0], ids[-2:]) == (49406, [49407, 49407])
    words = tokenizer.convert_ids_to_tokens(ids[1:3])
    assert words == ["a</w>", "cat</w>"]
    # bytes come first, in the order of OpenAI's bytes_to_unicode: "!" is 0, "a</w>" is 256 + 64
    assert tokenizer.convert_tokens_to_ids(["!", "a</w>"]) == [0, 320]


def test_a_vocabulary_beside_the_file_is_found(bare, vocabulary_file, tmp_path):
    for source in (bare, vocabulary_file):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    assert len(load_clip(tmp_path / bare.name).tokenizer) == 49408


@pytest.mark.parametrize("package", ["open_clip", "clip"])
def test_an_installed_package_lends_its_vocabulary_without_being_imported(
    bare, vocabulary_file, tmp_path, monkeypatch, package
):
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (folder / vocabulary_file.name).write_bytes(vocabulary_file.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    assert len(load_clip(bare).tokenizer) == 49408


def test_without_one_the_error_names_the_repairs(bare):
    refused(bare, "49408", "tokenizer=", "tokenizer.json beside", "pip install open_clip_torch")


def test_another_vocabulary_is_not_guessed(small, vocabulary_file):
    (small.parent / vocabulary_file.name).write_bytes(vocabulary_file.read_bytes())
    refused(small, "another model", "638", "tokenizer=")
    refused(small, "49408 tokens but the text tower knows 638", tokenizer=vocabulary_file)


def test_given_as_object_folder_or_file(small, tmp_path):
    clip_tokenizer().save_pretrained(tmp_path / "tok")
    expected = clip_tokenizer()("a red cat")["input_ids"]
    for given in (clip_tokenizer(), tmp_path / "tok", str(tmp_path / "tok" / "tokenizer.json")):
        assert load_clip(small, tokenizer=given).tokenizer("a red cat")["input_ids"] == expected


def test_given_beats_found(tmp_path):
    folder = save_tiny_clip(tmp_path / "tiny")
    given = clip_tokenizer()
    assert load_clip(folder, tokenizer=given).tokenizer is given


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"too short", mtime=0), gzip.compress(b"\0" * (17 << 20))],
)
def test_a_damaged_vocabulary_is_named(small, tmp_path, content):
    file = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    file.write_bytes(content)
    refused(small, "bpe_simple_vocab_16e6.txt.gz", "again", tokenizer=file)


def test_no_tokenizers_are_named(small, tmp_path):
    refused(small, "nowhere: no such", tokenizer=tmp_path / "nowhere")
    refused(small, "tokenizer.json", tokenizer=tmp_path)
    refused(small, "tokenizer: int", "CLIPTokenizer", tokenizer=3)
    refused(small, "nobody/nothing", "hub", tokenizer="nobody/nothing")
