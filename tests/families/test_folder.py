"""Folders as they come: tokenizers without their files, weights of other names, parts that are missing, encoders alone."""

import json
import shutil
from functools import cache

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertTokenizer, GemmaTokenizer, LlamaTokenizer, Qwen2Tokenizer, T5Tokenizer

from clipcond import Conditioner
from clipcond.conditioning.value import TENSORS
from clipcond.errors import CheckpointError, ClipcondError, UnsupportedPipelineError
from tests import doubles as tiny
from tests.zoo import ZOO

PROMPT = "a (red:1.3) cat, <|endoftext|>"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Builder of tests/doubles.py -> its folder."""

    @cache
    def folder(name):
        place = tmp_path_factory.mktemp(name)
        tiny.BUILDERS[name]().save_pretrained(place)
        return place

    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return lambda name: shutil.copytree(saved(name), tmp_path / "copy")


def change_index(folder, **changes):
    file = folder / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def assert_same(ours, theirs):
    """But for the last bits of what CLIP projects, which depend on where weights that are mapped from a file lie."""
    for name in TENSORS:
        x, y = getattr(ours, name), getattr(theirs, name)
        assert (x is None) == (y is None), name
        if x is not None:
            torch.testing.assert_close(x, y, rtol=0, atol=1e-6 if "pooled" in name else 0)


MADE_UP = {
    "StableDiffusion3Pipeline": ("tokenizer_3", T5Tokenizer, 104),
    "FluxPipeline": ("tokenizer_2", T5Tokenizer, 104),
    "PixArtAlphaPipeline": ("tokenizer", T5Tokenizer, 104),
    "HunyuanDiTPipeline": ("tokenizer", BertTokenizer, 5),
    "PRXPipeline": ("tokenizer", GemmaTokenizer, 5),
    "HunyuanVideoPipeline": ("tokenizer", LlamaTokenizer, 3),
    "HiDreamImagePipeline": ("tokenizer_4", LlamaTokenizer, 3),
    "HunyuanImagePipeline": ("tokenizer", Qwen2Tokenizer, 1),
}


@pytest.mark.pitfall(41)
@pytest.mark.parametrize("name", MADE_UP)
@pytest.mark.filterwarnings("ignore")
def test_a_tokenizer_made_up_of_missing_files_is_refused(name):
    slot, kind, count = MADE_UP[name]
    pipe = ZOO[name].build()
    made_up = kind()
    assert len(made_up) == count
    setattr(pipe, slot, made_up)
    with pytest.raises(
        CheckpointError, match=rf"{slot} knows {count} tokens.*load a folder that has it"
    ):
        Conditioner.from_pipeline(pipe)


@pytest.mark.pitfall(41)
@pytest.mark.parametrize("extra", [{}, {"extra_special_tokens": ["<cat>"]}])
def test_a_folder_without_t5s_vocabulary_is_refused(copied, extra):
    folder = copied("sd3")
    (folder / "tokenizer_3" / "tokenizer.json").unlink()
    config = folder / "tokenizer_3" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | extra))
    with pytest.raises(CheckpointError, match=r"tokenizer_3 knows .* fewer than there are letters"):
        Conditioner.from_pretrained(folder)


@pytest.mark.pitfall(41)
def test_a_tokenizer_of_more_tokens_than_its_encoder_is_refused():
    pipe = tiny.sd3()
    pipe.tokenizer_3.add_tokens(["<cat>"])
    with pytest.raises(
        CheckpointError,
        match=r"tokenizer_3 has ids up to (\d+), but text_encoder_3 knows \1 tokens",
    ):
        Conditioner.from_pipeline(pipe)


def test_a_tokenizer_without_padding_or_none_at_all():
    pipe = ZOO["HunyuanVideoPipeline"].build()
    pipe.tokenizer.pad_token = None
    with pytest.raises(
        CheckpointError, match=r"tokenizer has no padding token.*set tokenizer.pad_token"
    ):
        Conditioner.from_pipeline(pipe)
    pipe.tokenizer = None
    with pytest.raises(
        CheckpointError, match="tokenizer is None; text_encoder reads what it gives"
    ):
        Conditioner.from_pipeline(pipe)


def only_vocabulary(folder):
    vocabulary, merges = tiny.clip_bpe()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges)]))


@pytest.mark.pitfall(42)
@pytest.mark.parametrize("bare", ["vocabulary", "tokenizer.json"])
def test_files_that_say_nothing_of_padding_are_refused(saved, copied, bare):
    folder = copied("sdxl")
    if bare == "vocabulary":
        only_vocabulary(folder / "tokenizer_2")
    else:
        (folder / "tokenizer_2" / "tokenizer_config.json").unlink()
    with pytest.raises(
        CheckpointError,
        match=r"tokenizer_2 does not say what fills up its rows.*special_tokens_map",
    ):
        Conditioner.from_pretrained(folder)
    (folder / "tokenizer_2" / "special_tokens_map.json").write_text('{"pad_token": "!"}')
    whole = Conditioner.from_pretrained(saved("sdxl"))
    assert_same(Conditioner.from_pretrained(folder)(PROMPT), whole(PROMPT))


def test_openais_own_encoder_is_padded_as_transformers_takes_it(copied):
    folder = copied("sd1")
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_act": "quick_gelu"}))
    whole = Conditioner.from_pretrained(folder)(PROMPT)
    only_vocabulary(folder / "tokenizer")
    assert_same(Conditioner.from_pretrained(folder)(PROMPT), whole)


def to_pickle(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def to_variant(folder):
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")


def to_sentencepiece(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02")


def without_merges(folder):
    only_vocabulary(folder)
    (folder / "merges.txt").unlink()


ODD = {
    "a pickle": (
        "text_encoder",
        to_pickle,
        r"pytorch_model.bin is a pickle.*convert it with T5|CLIPTextModelWithProjection",
    ),
    "a variant": ("text_encoder_3", to_variant, r"model.fp16.safetensors.*pass variant='fp16'"),
    "nothing": (
        "text_encoder_2",
        shutil.rmtree,
        r"lists it, but .*text_encoder_2 is missing: copy or download it$",
    ),
    "nothing of what may be left out": (
        "text_encoder_3",
        shutil.rmtree,
        r"or set text_encoder_3 and tokenizer_3 to \[null, null\]",
    ),
    "no weights": (
        "text_encoder",
        lambda f: (f / "model.safetensors").unlink(),
        "holds no .safetensors",
    ),
    "spiece.model": ("tokenizer_3", to_sentencepiece, "pip install sentencepiece protobuf"),
    "no merges": ("tokenizer", without_merges, "vocab.json and merges.txt belong together"),
    "no denoiser": (
        "transformer",
        shutil.rmtree,
        r"how wide text states are.*set transformer to \[null, null\]",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_wrong_with_a_folder_names_the_slot_and_the_remedy(copied, case):
    slot, spoil, remedy = ODD[case]
    folder = copied("sd3")
    spoil(folder / slot)
    with pytest.raises(CheckpointError, match=rf"copy: {slot} cannot be read.*{remedy}") as raised:
        Conditioner.from_pretrained(folder)
    assert "\n" not in str(raised.value)


def test_what_may_be_left_out_is_as_the_message_says(copied):
    folder = copied("sd3")
    for slot in ("text_encoder_3", "tokenizer_3"):
        shutil.rmtree(folder / slot)
    change_index(folder, text_encoder_3=[None, None], tokenizer_3=[None, None])
    theirs = Conditioner.from_pipeline(tiny.sd3_without_t5())
    assert_same(Conditioner.from_pretrained(folder)("a cat"), theirs("a cat"))


def test_a_variant_and_a_subfolder(saved, copied):
    whole = Conditioner.from_pretrained(saved("sd3"))(PROMPT)
    folder = copied("sd3")
    for slot in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        to_variant(folder / slot)
    options = dict(variant="fp16", subfolder="copy", revision="main")
    assert_same(Conditioner.from_pretrained(folder.parent, **options)(PROMPT), whole)
    (folder / "text_encoder_2" / "model.fp16.safetensors").rename(
        folder / "text_encoder_2" / "model.safetensors"
    )
    with pytest.raises(
        CheckpointError, match=r"text_encoder_2 .*there is model.safetensors.*leave variant= out"
    ):
        Conditioner.from_pretrained(folder, variant="fp16")
    file = folder / "text_encoder_2" / "model.safetensors"
    for name in options:
        with pytest.raises(ClipcondError, match=rf"{name}='.*single file; leave it out"):
            Conditioner.from_pretrained(file, **{name: options[name]})


@pytest.mark.parametrize("family", ["sd1", "sdxl", "refiner", "sd3", "flux"])
def test_encoders_alone(family, tmp_path):
    whole, alone = tiny.BUILDERS[family](), tiny.BUILDERS[family]()
    theirs = Conditioner.from_pipeline(whole)
    denoiser = theirs.family.denoiser
    setattr(alone, denoiser, None)
    alone.vae = None
    alone.save_pretrained(tmp_path)
    for conditioner in (Conditioner.from_pipeline(alone), Conditioner.from_pretrained(tmp_path)):
        assert conditioner.family == theirs.family
        ours = conditioner(PROMPT, negative_prompt="bad")
        assert_same(ours, theirs(PROMPT, negative_prompt="bad"))
        ours.kwargs_for(whole)
        with pytest.raises(UnsupportedPipelineError, match=f"has no {denoiser} to hand tensors to"):
            ours.kwargs_for(alone)


def test_two_clips_alone_are_as_wide_as_published_denoisers_are():
    pipe = tiny.sd3_without_t5()
    pipe.transformer = pipe.vae = None
    assert Conditioner.from_pipeline(pipe)("a cat").prompt_embeds.shape == (1, 77 + 256, 4096)
