"""What reports say of a prompt's words: windows, embeddings that are not there, unknown characters, odd characters."""

import warnings

import pytest
import torch

from clipcond import Conditioner, TextualInversion
from clipcond.cli import main
from clipcond.errors import ClipcondError, PromptCutWarning, PromptTooLongError
from tests import doubles as tiny
from tests.tiny import tiny_pipeline
from tests.zoo import ZOO

PIPE = tiny_pipeline()
WIDTH = PIPE.text_encoder.config.hidden_size


def windows(text, **options):
    report = Conditioner.from_pipeline(PIPE, **options).report(text).prompts[0]
    return [[t for t in report.tokens if t.chunk == number] for number in range(report.chunks)]


def tokens(conditioner, text, slot="text_encoder"):
    return conditioner.report(text).encoders[slot].prompts[0].tokens


def notes(conditioner, text, slot="text_encoder"):
    return [note.message for note in conditioner.report(text).encoders[slot].prompts[0].notes]


@pytest.mark.parametrize("dialect", ["a1111", "comfy"])
def test_comfy_never_parts_a_short_weighted_segment(dialect):
    text = "cat " * 72 + "(a big red ball:1.2)"
    first, second = windows(text, long_prompt="comfy", dialect=dialect)
    assert len(first) == 72
    assert {t.weight for t in second} == {1.2}
    assert "".join(t.text for t in second) == "abigredball"
    longer = "cat " * 72 + "(a red cat red cat red cat red:1.2)"  # of 8, which is cut
    assert [len(w) for w in windows(longer, long_prompt="comfy", dialect=dialect)] == [75, 5]


def test_no_window_parts_a_character_of_several_tokens():
    for policy in ("a1111", "comfy", "sentence"):
        first, second, *_ = windows("cat " * 74 + "日本" * 20, long_prompt=policy)
        assert len(first) == 74, policy
        assert second[0].text == second[1].text == second[2].text == "日"


# ---- textual inversions by their names


def known(*names):
    inversions = [TextualInversion(name, {"": torch.full((2, WIDTH), 0.1)}) for name in names]
    return Conditioner.from_pipeline(PIPE).with_inversions(*inversions)


@pytest.mark.parametrize(
    "typed",
    [
        "moss",
        "MOSS",
        "embedding:moss",
        "embedding:moss.pt",
        "embedding:moss.safetensors",
        "embedding:xl/moss",
        "embedding:xl/green/moss.bin",
        "embedding:xl\\\\moss",
        "Embedding:Moss.PT",
    ],
)
def test_a_name_with_a_files_suffix_or_folder_is_the_name(typed):
    conditioner = known("moss")
    assert [t.vectors for t in tokens(conditioner, f"a {typed}, cat")] == [1, 2, 1, 1]
    assert torch.equal(
        conditioner(f"a {typed}, cat").prompt_embeds, conditioner("a moss, cat").prompt_embeds
    )
    assert notes(conditioner, f"a {typed}, cat") == []


@pytest.mark.parametrize(
    ("name", "typed", "found"),
    [
        ("kapi", "kap\u0131", False),  # Turkish dotless i
        ("kap\u0131", "kap\u0131", True),
        ("kap\u0131", "KAPI", False),
        ("moss", "mo\u017f\u017f", False),  # long s
        ("\u00b5style", "\u03bcstyle", False),  # micro sign and mu
        ("stra\u00dfe", "STRA\u1e9eE", True),
        ("\u0130x", "\u0130X", True),  # small, it has two characters
        ("\u212aelvin", "kelvin", True),  # the sign for kelvin
        ("\u03c3\u03c2", "\u03a3\u03c2", True),
        ("\ufb01ne", "FINE", False),
    ],
)
def test_names_and_texts_are_folded_alike(name, typed, found):
    got = tokens(known(name), f"a {typed} b")
    assert ([t.vectors for t in got] == [1, 2, 1]) is found


def test_the_same_word_in_another_case_is_there_twice():
    with pytest.raises(ClipcondError, match="there twice"):
        known("STRA\u1e9eE", "stra\u00dfe")


def test_an_unknown_embedding_is_left_out_by_comfy_and_read_by_others_with_a_note():
    text = "a cat, embedding:lichen, on sky"
    comfy = Conditioner.from_pipeline(PIPE, dialect="comfy")
    assert torch.equal(comfy(text).prompt_embeds, comfy("a cat, , on sky").prompt_embeds)
    (note,) = notes(comfy, text)
    assert "'embedding:lichen' names no textual inversion" in note
    assert "left out" in note
    other = Conditioner.from_pipeline(PIPE)
    (note,) = notes(other, text)
    assert "read as text" in note
    theirs = PIPE.encode_prompt(text, "cpu", 1, True)[0]
    assert torch.equal(other(text).prompt_embeds, theirs)
    plain = Conditioner.from_pipeline(PIPE, dialect="plain")
    assert notes(plain, text) == []


def test_weights_stay_where_an_unknown_embedding_is_left_out():
    comfy = Conditioner.from_pipeline(PIPE, dialect="comfy")
    got = tokens(comfy, "red embedding:x (cat embedding:y:1.3) embedding:z (sky:0.5)")
    assert [(t.text, t.weight) for t in got] == [("red", 1.0), ("cat", 1.3), ("sky", 0.5)]


def test_an_embedding_that_the_pipeline_loaded_is_known():
    pipe = tiny_pipeline()
    pipe.load_textual_inversion({"lichen": torch.zeros(1, WIDTH)}, token="lichen")
    comfy = Conditioner.from_pipeline(pipe, dialect="comfy")
    assert notes(comfy, "a embedding:lichen") == []
    assert tokens(comfy, "a embedding:lichen")[-1].text == "lichen"


# ---- reports


def test_characters_that_t5_does_not_know_are_noted():
    conditioner = Conditioner.from_pipeline(tiny.flux())
    seen = conditioner.report("a cat 日本語 ☕").encoders["text_encoder_2"].prompts[0]
    assert [t.text for t in seen.tokens if t.unknown] == ["日本語", "☕"]
    (note,) = [n for n in seen.notes if "vocabulary" in n.message]
    assert "'日本語', '☕'" in note.message
    assert seen.text[slice(*note.span)] == "日本語"
    assert "日本語[?]" in str(seen)
    assert notes(conditioner, "a cat 日本語 ☕") == []  # CLIP reads bytes
    assert notes(conditioner, "a cat", "text_encoder_2") == []


def test_a_report_shows_t5s_blank_as_a_blank():
    conditioner = Conditioner.from_pipeline(tiny.flux())
    seen = conditioner.report("a red x").encoders["text_encoder_2"].prompts[0]
    assert str(seen).startswith("1/1: a red \u2581 x")


@pytest.mark.parametrize("odd", ["\x1b[31m", "\u202e", "\x07", "\u2066", "\x9b31m"])
def test_nothing_odd_reaches_the_terminal(odd, capsys):
    report = Conditioner.from_pipeline(PIPE).report(f"a {odd}(cat:1.2) )")
    for shown in (str(report), report.to_html()):
        assert odd[0] not in shown
    main(["tokens", f"a {odd}(cat:1.2) )"])
    out, err = capsys.readouterr()
    assert odd[0] not in out.replace("\n", "")
    assert odd[0] not in err.replace("\n", "")


# ---- lengths


def test_fluxs_error_is_about_t5s_length():
    conditioner = Conditioner.from_pipeline(tiny.flux(), long_prompt="error")
    text = "red cat " * 60  # 120 tokens: more than CLIP's window, fewer than T5's row
    with pytest.warns(PromptCutWarning, match="75 tokens"):
        got = conditioner(text)
    assert got.report.encoders["text_encoder"].prompts[0].cut
    assert not got.report.encoders["text_encoder_2"].prompts[0].cut
    with torch.no_grad():
        theirs = tiny.flux().encode_prompt(text, None, device="cpu")
    assert torch.equal(got.prompt_embeds, theirs[0])
    assert torch.equal(got.pooled_prompt_embeds, theirs[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(PromptTooLongError, match="511 tokens"):
            conditioner("red cat " * 300)


def test_an_encoder_whose_states_are_read_is_held_to_its_window():
    with pytest.raises(PromptTooLongError, match="75 tokens"):
        Conditioner.from_pipeline(tiny.sdxl(), long_prompt="error")("red cat " * 60)


@pytest.mark.parametrize("policy", ["a1111", "truncate", "error"])
@pytest.mark.parametrize("name", ["HunyuanVideo15Pipeline", "HiDreamImagePipeline"])
def test_a_row_too_short_for_the_template_is_refused(name, policy):
    conditioner = Conditioner.from_pipeline(ZOO[name].build(), long_prompt=policy)
    around = max(p.tokenizer.length - p.tokenizer.frame.room for p in conditioner.paths)
    if around > 2:
        with pytest.raises(ClipcondError, match=f"max_sequence_length: {around - 1} positions"):
            conditioner.report("a red cat", max_sequence_length=around - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conditioner.report("", max_sequence_length=around)
        conditioner.report("a cat", max_sequence_length=around + 9)
