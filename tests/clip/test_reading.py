# ruff: noqa: RUF001
"""Texts of OpenAI's and OpenCLIP's files are read as their own programs read them, and of transformers' as it does."""

import json
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcond.clip import load_clip
from clipcond.errors import CheckpointError
from tests.clip.layouts import openclip_config, save_openclip_folder
from tests.clip.openai_model import openai_clip, save_archive
from tests.clip.simple_tokenizer import SimpleTokenizer
from tests.tiny import clip_bpe, clip_tokenizer, save_tiny_clip

MERGES = clip_bpe()[1]
SPECIAL = {
    "openai": ["<|startoftext|>", "<|endoftext|>"],
    "openclip": ["<start_of_text>", "<end_of_text>"],
}
TEXTS = [
    "a cat",
    "",
    "A Red  FOX\n\ton the left",
    "“a cat” and ‘the dog’s hat’",
    "a ﬁre ﬂower, ﬀ",
    "ｆｕｌｌ ｗｉｄｔｈ １２３",
    "\ufeffa cat",
    "a caf\u00c3\u00a9",
    "schÃ¶n â€œred foxâ€\x9d",
    "tom &amp;amp; jerry &lt;3 &#39;s &copy;",
    "cafe\u0301 caf\u00e9 e&#769;",
    "it's we've I'LL they'd don't I'M you're 'ſ",
    "42nd street, 3½ №5 Ⅳ ٣",
    "!!! ... ?! -- _under_ #tag @me",
    "ΟΔΥΣΣΕΥΣ İstanbul ẞ ǅ",
    "red\u00a0fox\u2003on\u3000a\u2028b\x85c\x0bd",
    "zero\u200bwidth soft\u00adhyphen \u202ertl",
    "🦊 👩‍👩‍👧 ☂️",
    "한국어 고양이 日本語の猫 кошка कुत्ता",
    "control \x07\x1b[31mred\x1b[0m",
    "a <|startoftext|> b",
    "a <|STARTOFTEXT|> b",
    "a <start_of_text> b <START_OF_TEXT>",
    "<|startoftext|><start_of_text>",
    "a b" * 60,
]  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = save_openclip_folder(tmp_path_factory.mktemp("clips") / "openclip")
    archive = save_archive(openai_clip(), tmp_path_factory.mktemp("clips") / "ViT.pt")
    return {"openai": load_clip(archive, tokenizer=clip_tokenizer()), "openclip": load_clip(folder)}


def ids(clip, text):
    return clip.reader.read([text], 77)[0][0]


@pytest.mark.parametrize("layout", SPECIAL)
@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_the_originals(clips, layout, text):
    assert ids(clips[layout], text) == SimpleTokenizer(MERGES, SPECIAL[layout])(text)


@given(text=st.text(max_size=40) | st.text("a’'“ſsSÅﬁ<|>_enodtxf &;#1２\u0301\u00a0é", max_size=40))
@settings(max_examples=150, deadline=None)
def test_ids_are_the_originals_for_any_text(clips, text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # half of a surrogate pair, which the scorer refuses
    for layout, special in SPECIAL.items():
        theirs = SimpleTokenizer(MERGES, special)(text)
        assert ids(clips[layout], text) == theirs[: theirs.index(max(theirs)) + 1]


@pytest.mark.parametrize("clean", ["lower", "whitespace", "whitespace_underscore", "canonicalize"])
def test_open_clips_cleanings(tmp_path, clean):
    config = openclip_config(text_cfg={"tokenizer_kwargs": {"clean": clean}})
    clip = load_clip(save_openclip_folder(tmp_path / "tiny", config=config))
    theirs = SimpleTokenizer(MERGES, SPECIAL["openclip"], clean=clean)
    for text in (*TEXTS, "A_snake_case NAME, it's"):
        assert ids(clip, text) == theirs(text)
    assert clip.as_dict()["reading"] == f"openclip, cleaning {clean}"


@pytest.mark.parametrize("options", [{"clean": "soap"}, {"strip_sep_token": True}, [1]])
def test_other_ways_of_open_clips_tokenizers_are_refused(tmp_path, options):
    config = openclip_config(text_cfg={"tokenizer_kwargs": options})
    with pytest.raises(CheckpointError, match="tokenizer_kwargs"):
        load_clip(save_openclip_folder(tmp_path / "tiny", config=config))


def test_what_is_written_alike_has_the_same_features(clips, tmp_path):
    pairs = [
        ("“the cat’s hat”", '"the cat\'s hat"'),
        ("ａ ｒｅｄ cat", "a red cat"),
        ("\ufeffa dog", "a dog"),
    ]
    for clip in clips.values():
        for one, other in pairs:
            assert torch.equal(*clip.encode_texts([one, other]).features)
    plain = load_clip(save_tiny_clip(tmp_path / "tiny"))
    one, other = plain.encode_texts(list(pairs[0])).features
    assert not torch.allclose(one, other)  # transformers' tokenizer keeps the curly quotes


@pytest.mark.parametrize(
    ("layout", "typed"), [("openai", "<|endoftext|>"), ("openclip", "<end_of_text>")]
)
def test_nothing_after_a_typed_end_is_read_and_that_is_told(clips, layout, typed):
    clip = clips[layout]
    both = clip.encode_texts([f"a cat {typed} on a red house", "a cat"])
    assert torch.equal(*both.features)
    assert both.truncated.tolist() == [True, False]


def test_in_transformers_layout_typed_ends_stay_text(tmp_path):
    clip = load_clip(save_tiny_clip(tmp_path / "tiny"))
    both = clip.encode_texts(["a cat <|endoftext|> on a red house", "a cat"])
    assert not torch.allclose(*both.features)
    assert both.truncated.tolist() == [False, False]
    assert clip.as_dict() == {"reading": "transformers", "text_features": "end", "logit_bias": None}


def test_a_named_tokenizer_is_asked_for(tmp_path):
    config = openclip_config(text_cfg={"hf_tokenizer_name": "facebook/xlm-v-base"})
    folder = save_openclip_folder(tmp_path / "tiny", config=config)
    clip = load_clip(folder)  # the one in the folder
    assert clip.as_dict()["reading"] == "openclip, cleaning whitespace"
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="tokenizer='facebook/xlm-v-base'"):
        load_clip(folder)
    assert json.loads(json.dumps(clip.as_dict())) == clip.as_dict()


@pytest.mark.parametrize("layout", ["openai", "openclip"])
def test_a_reader_that_crosses_processes_reads_the_same(clips, layout):
    reader = clips[layout].reader
    again = pickle.loads(pickle.dumps(reader))
    assert (again.name, again.end, again.fill) == (reader.name, reader.end, reader.fill)
    assert again.read(TEXTS, 77) == reader.read(TEXTS, 77)
