"""Conditioner: the formula end to end, long prompts, reports, arguments, loading."""

import json
from dataclasses import fields

import pytest
import torch

from clipcond import Conditioner, EmbeddingCache, parse, weighting
from clipcond.conditioning import OptionArguments, Options
from clipcond.errors import (
    CheckpointError,
    ClipcondError,
    PromptCutWarning,
    PromptSyntaxError,
    PromptTooLongError,
    UnsupportedPipelineError,
)
from clipcond.tokens import lines_of
from tests import doubles as tiny
from tests.tiny import save_tiny_pipeline, tiny_pipeline

PIPE = tiny_pipeline()
CONDITIONER = Conditioner.from_pipeline(PIPE)


def plain(text):
    return CONDITIONER(text).prompt_embeds[0]


def test_comfy_formula_and_untouched_positions():
    # BOS a red cat , sky EOS
    ours = CONDITIONER("a (red:1.3) cat, (sky:0.4)").prompt_embeds[0]
    z, e = plain("a red cat, sky"), plain("")
    for position, weight in ((2, 1.3), (5, 0.4)):
        expected = e[position] + weight * (z[position] - e[position])
        torch.testing.assert_close(ours[position], expected, rtol=0, atol=1e-6)
    untouched = [i for i in range(77) if i not in (2, 5)]
    assert torch.equal(ours[untouched], z[untouched])
    assert not torch.equal(ours, z)


def reference(rows, attention=None):
    """The text encoder row by row, attention weighted by an additive mask made here."""
    out = []
    for i, row in enumerate(rows):
        ids = torch.tensor([row])
        mask = None
        if attention is not None:
            mask = torch.full((1, 1, len(row), len(row)), 0.0).masked_fill(
                torch.ones(len(row), len(row)).triu(1).bool(), -torch.inf
            )
            mask = mask + torch.tensor(attention[i]).log().clamp(min=-1e30)
        with torch.no_grad():
            out.append(PIPE.text_encoder(ids, attention_mask=mask).last_hidden_state[0])
    return torch.stack(out)


@pytest.mark.filterwarnings("ignore:a1111")  # a random encoder's states have mean zero
@pytest.mark.parametrize("normalization", weighting.NORMALIZATIONS)
@pytest.mark.parametrize("mode", weighting.MODES)
def test_the_planned_path_is_the_reference_path(mode, normalization):
    """Each mode through the plan, beside other prompts, is `weigh` on the window alone."""
    prompt = "a (red cat:1.3) and (dog:0.6), a (sky:0.25) (hat:1.75) house"
    conditioner = Conditioner.from_pipeline(PIPE, weighting=mode, normalization=normalization)
    ours = conditioner(["fox", prompt], negative_prompt="(bad:0.5)").prompt_embeds[1]
    tokenizer = CONDITIONER.paths[0].tokenizer
    lines = lines_of(parse(prompt).segments())
    chunk = tokenizer.frame.fill(tokenizer(lines)[0])
    theirs = weighting.weigh(
        mode,
        reference,
        chunk.ids,
        chunk.weights,
        chunk.fragments,
        empty=tokenizer.frame.empty.ids,
        mask_token=tokenizer.mask,
        normalization=normalization,
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert mode == "none" or not torch.equal(ours, plain("a red cat and dog, a sky hat house"))


def test_a_negative_weight_under_attention_bias_is_an_error_with_a_caret():
    conditioner = Conditioner.from_pipeline(PIPE, weighting="attention_bias")
    with pytest.raises(PromptSyntaxError, match=r"the weight -0\.5 is below 0") as raised:
        conditioner("a (red:-0.5) cat")
    assert "^^^" in str(raised.value)
    assert conditioner("a (red:0) cat BREAK sky").prompt_embeds.isfinite().all()


@pytest.mark.parametrize("prompt", ["a [cat:dog:0.5]", "a cat AND a dog", "a [cat|dog]"])
def test_what_no_arguments_of_a_call_can_say_is_never_drawn_as_its_first_step(prompt):
    with pytest.raises(ClipcondError, match="within `with conditioning"):
        CONDITIONER(prompt).kwargs_for(PIPE)


def test_a_word_in_capitals_has_a_way_out():
    with pytest.raises(ClipcondError, match=r'write "and", or "AN\(\)D" in capitals'):
        CONDITIONER("a cat", negative_prompt="a cat AND a dog")
    plain = CONDITIONER("a cat and a dog")
    assert torch.equal(CONDITIONER("a cat AN()D a dog").prompt_embeds, plain.prompt_embeds)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("compel", "a (red)1.3 cat"),
        ("comfy", "a (red:1.3) cat"),
        ("a1111", "<lora:x:0.8>a (red:1.3) cat"),
    ],
)
def test_every_dialect_reaches_the_encoder(dialect, text):
    ours = Conditioner.from_pipeline(PIPE, dialect=dialect)(text)
    assert torch.equal(ours.prompt_embeds[0], plain("a (red:1.3) cat"))


def test_an_empty_comfy_prompt_is_the_empty_prompt():
    ours = Conditioner.from_pipeline(PIPE, dialect="comfy")("")
    assert torch.equal(ours.prompt_embeds[0], plain(""))


def test_weights_act_in_the_negative_prompt_too():
    ours = CONDITIONER("cat", negative_prompt="a (red:1.5) dog").negative_prompt_embeds[0]
    torch.testing.assert_close(
        ours, CONDITIONER("a (red:1.5) dog").prompt_embeds[0], rtol=0, atol=0
    )


def test_none_ignores_weights_and_plain_reads_no_syntax():
    none = Conditioner.from_pipeline(PIPE, weighting="none")("a (red:1.3) cat")
    assert torch.equal(none.prompt_embeds[0], plain("a red cat"))
    as_typed = Conditioner.from_pipeline(PIPE, dialect="plain")("a (red:1.3) cat")
    assert [t.text for t in as_typed.report.prompts[0].tokens] == [
        "a",
        "(",
        "red",
        ":",
        "1",
        ".",
        "3",
        ")",
        "cat",
    ]


def test_half_precision_is_combined_in_float32_and_stays_half():
    encoder = tiny_pipeline().text_encoder.to(torch.bfloat16)
    pipe = tiny_pipeline()
    pipe.register_modules(text_encoder=encoder)
    conditioner = Conditioner.from_pipeline(pipe)
    weighted, z, e = (conditioner(t).prompt_embeds[0] for t in ("a (red:1.3) cat", "a red cat", ""))
    assert weighted.dtype == torch.bfloat16
    expected = (e[2].float() + 1.3 * (z[2].float() - e[2].float())).bfloat16()
    torch.testing.assert_close(
        weighted[2], expected, rtol=2**-7, atol=0
    )  # one unit in the last place
    assert torch.equal(weighted[1], z[1])


def test_break_starts_a_window_and_the_shorter_side_is_filled_up_with_empty_ones():
    ours = CONDITIONER("a red cat BREAK sky", negative_prompt="bad")
    assert ours.prompt_embeds.shape == ours.negative_prompt_embeds.shape == (1, 154, 32)
    assert torch.equal(ours.prompt_embeds[0], torch.cat([plain("a red cat"), plain("sky")]))
    assert torch.equal(ours.negative_prompt_embeds[0], torch.cat([plain("bad"), plain("")]))


def test_a_long_prompt_is_cut_at_a_comma_near_the_end_of_the_window():
    ours = CONDITIONER("cat " * 60 + ", " + "dog " * 30)
    first, second = plain("cat " * 60 + ","), plain("dog " * 30)
    assert torch.equal(ours.prompt_embeds[0], torch.cat([first, second]))
    assert {t.chunk for t in ours.report.prompts[0].tokens if t.text == "dog"} == {1}


def test_error_quotes_what_is_too_much():
    conditioner = Conditioner.from_pipeline(PIPE, long_prompt="error")
    with pytest.raises(PromptTooLongError, match="'dog, car!'") as raised:
        conditioner("cat " * 75 + "dog, car!")
    assert 'long_prompt="a1111"' in str(raised.value)
    assert conditioner("cat " * 75).prompt_embeds.shape == (1, 77, 32)


def test_truncate_warns_and_reports():
    conditioner = Conditioner.from_pipeline(PIPE, long_prompt="truncate")
    with pytest.warns(PromptCutWarning, match="dog sky"):
        report = conditioner("cat " * 75 + "dog BREAK sky", negative_prompt="bad").report
    assert report.prompts[0].cut == "dog sky"
    assert "BREAK ends no window" in report.prompts[0].notes[0].message
    assert report.negative_prompts[0].cut == ""


def test_report_lists_tokens_weights_windows_and_notes():
    report = CONDITIONER(["a (red:1.3) cat BREAK sky", "(dog"], negative_prompt="bad").report
    first, second = report.prompts
    rows = [(t.text, t.weight, t.chunk) for t in first.tokens]
    assert rows == [("a", 1.0, 0), ("red", 1.3, 0), ("cat", 1.0, 0), ("sky", 1.0, 1)]
    assert first.chunks == 2
    assert "never closed" in second.notes[0].message
    assert [r.text for r in report.negative_prompts] == ["bad", "bad"]
    assert "red(1.3)" in str(report)


@pytest.mark.pitfall(31)
def test_the_padding_character_is_noted():
    conditioner = Conditioner.from_pipeline(tiny_pipeline(pad="!"))
    (note,) = conditioner("cat!").report.prompts[0].notes
    assert "padding token" in note.message
    assert note.span == (3, 4)
    assert CONDITIONER("cat!").report.prompts[0].notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weighting": "compell"},
            "no weighting 'compell'; there are a1111, a1111_no_norm, comfy, ",
        ),
        ({"dialect": "compell"}, "no dialect 'compell'; there are a1111, "),
        ({"long_prompt": "cut"}, "no long_prompt policy 'cut'; there are a1111, comfy, sentence, "),
        ({"pooled": "all"}, "no pooled policy 'all'; there are first, last, mean, weighted"),
        ({"normalization": "max"}, "no normalization 'max'; there are none, mean, length"),
    ],
)
def test_an_option_that_does_not_exist_names_those_that_do(options, message):
    with pytest.raises(ClipcondError, match=message):
        Conditioner.from_pipeline(PIPE, **options)


def test_prompt_lists():
    with pytest.raises(ValueError, match="the list is empty"):
        CONDITIONER([])
    with pytest.raises(ValueError, match="1 negative prompts for 2 prompts"):
        CONDITIONER(["a", "b"], negative_prompt=["c"])
    spread = CONDITIONER(["a", "b"], negative_prompt="c").negative_prompt_embeds
    assert torch.equal(spread[0], spread[1])


def test_a_prompt_that_comes_again_is_read_once_and_means_the_same():
    one, other = "a (red:1.3) cat", "a cat BREAK a dog"
    twice = CONDITIONER([one, other, one], negative_prompt="blurry")
    seen = twice.report.encoders["text_encoder"]
    assert seen.prompts[0] is seen.prompts[2]
    assert seen.negative_prompts[0] is seen.negative_prompts[1]
    alone = CONDITIONER([one, other], negative_prompt="blurry")
    assert torch.equal(twice.prompt_embeds, alone.prompt_embeds[[0, 1, 0]])


@pytest.mark.pitfall(29)
def test_no_gradients_and_no_change_to_the_pipeline():
    before = {name: value.clone() for name, value in PIPE.text_encoder.state_dict().items()}
    ours = CONDITIONER("a (red:1.3) cat")
    assert not ours.prompt_embeds.requires_grad
    assert not PIPE.text_encoder._forward_hooks
    assert all(
        torch.equal(before[name], value) for name, value in PIPE.text_encoder.state_dict().items()
    )


def test_an_offloaded_encoder_is_called_where_it_runs():
    from accelerate import cpu_offload

    pipe = tiny_pipeline()
    cpu_offload(pipe.text_encoder, torch.device("cpu"))
    assert pipe.text_encoder.device.type == "meta"
    ours = Conditioner.from_pipeline(pipe)("a (red:1.3) cat")
    assert torch.equal(ours.prompt_embeds, CONDITIONER("a (red:1.3) cat").prompt_embeds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_from_pretrained_is_from_pipeline(folder, kind):
    ours = Conditioner.from_pretrained(kind(folder), long_prompt="truncate")
    assert ours.long_prompt == "truncate"
    assert torch.equal(
        ours("a (red:1.3) cat").prompt_embeds, CONDITIONER("a (red:1.3) cat").prompt_embeds
    )


def test_from_pretrained_loads_a_half_precision_folder_in_float32(tmp_path):
    tiny_pipeline().to(torch.float16).save_pretrained(tmp_path)
    assert Conditioner.from_pretrained(tmp_path)("cat").prompt_embeds.dtype == torch.float32


def test_unreadable_folders_are_one_clear_error(folder, tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read as a diffusers folder"):
        Conditioner.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no/such-model"):
        Conditioner.from_pretrained("no/such-model")
    broken = save_tiny_pipeline(tmp_path / "broken")
    weights = broken / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read") as raised:
        Conditioner.from_pretrained(broken)
    assert len(str(raised.value).splitlines()) == 1
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(CheckpointError):
        Conditioner.from_pretrained(tmp_path)


def test_from_pretrained_refuses_another_family(tmp_path):
    index = {
        "_class_name": "KolorsPipeline",
        "text_encoder": ["kolors", "ChatGLMModel"],
        "tokenizer": ["kolors", "ChatGLMTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(
        UnsupportedPipelineError,
        match=r"KolorsPipeline \(text_encoder: ChatGLMModel\).*supported: Stable Diffusion 1",
    ):
        Conditioner.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "prompt",
    [
        "(" * 300 + "cat",
        "a \ud800",
        "(a:1e)" + "(b:" + "9" * 400 + ")",
        "((a:" + "9" * 300 + "):" + "9" * 300 + ")",
    ],
)
def test_hostile_prompts_are_syntax_errors_with_a_caret(prompt):
    with pytest.raises(PromptSyntaxError) as raised:
        CONDITIONER(prompt)
    assert "^" in str(raised.value)


@pytest.mark.parametrize(
    "prompt",
    ["\x00", "\x00 a \x00", "\u202e(a:1.2)", "e\u0301" * 50, "\ufffd", "👨‍👩‍👧‍👦" * 30, "\n\t\r"],
)
def test_odd_characters_condition(prompt):
    assert CONDITIONER(prompt).prompt_embeds.isfinite().all()


def test_large_weights_are_finite_or_an_error():
    assert CONDITIONER("a (cat:100000)").prompt_embeds.isfinite().all()
    with pytest.raises(
        PromptSyntaxError, match=r"more than torch\.float32 states can take"
    ) as raised:
        CONDITIONER(["fine", "a (cat:1" + "0" * 60 + ")"])
    assert raised.value.span == (3, 6)


@pytest.mark.slow
def test_ten_thousand_words():
    ours = CONDITIONER("cat (dog:1.2), " * 5000)
    assert ours.prompt_embeds.isfinite().all()
    assert ours.stats.calls == 1
    assert len(repr(ours)) < 3000


def test_plain_objects_are_no_pipelines():
    with pytest.raises(UnsupportedPipelineError, match="int is not a diffusers pipeline"):
        Conditioner.from_pipeline(5)


def test_a_row_length_for_a_t5_that_is_not_there_is_an_error():
    with pytest.raises(ClipcondError, match="has no T5"):
        CONDITIONER("a cat", max_sequence_length=100)
    flux = Conditioner.from_pipeline(tiny.flux())
    with pytest.raises(ClipcondError, match="got 1; needs at least 2"):
        flux("a cat", max_sequence_length=1)
    with pytest.raises(ClipcondError, match="reads no prompt_3"):
        flux("a cat", prompt_3="a dog")


def test_t5_reads_a_long_prompt_whole_unless_told_otherwise():
    pipe, prompt = tiny.flux(), "a (red:1.3) cat, " * 30
    ours = Conditioner.from_pipeline(pipe)(prompt, max_sequence_length=40)
    assert ours.report.encoders["text_encoder_2"].prompts[0].cut == ""
    assert ours.prompt_embeds.shape[1] > 100
    cut = Conditioner.from_pipeline(pipe, long_prompt="truncate")
    with pytest.warns(PromptCutWarning):
        assert cut(prompt, max_sequence_length=40).prompt_embeds.shape[1] == 40


# ---- options in one place


def test_an_option_that_is_none_is_one_clear_error(folder):
    message = (
        "no option 'dialekt'; there are dialect, weighting, long_prompt, pooled, clip_skip, cache"
    )
    with pytest.raises(ClipcondError, match=message):
        Conditioner.from_pipeline(PIPE, dialekt="comfy")
    with pytest.raises(ClipcondError, match=message):
        Conditioner.from_pretrained(folder, dialekt="comfy")


def test_every_option_has_one_name_and_one_default():
    names = [f.name for f in fields(Options) if f.init]
    assert names == list(OptionArguments.__annotations__)
    assert CONDITIONER.options == Options()
    other = Conditioner.from_pipeline(PIPE, weighting="compel", pooled="last").options
    assert other == Options(weighting="compel", pooled="last")
    assert other.mode is weighting.MODES["compel"]


def test_its_repr_is_two_lines_that_explain():
    lines = repr(CONDITIONER).splitlines()
    assert lines[0] == "Conditioner for Stable Diffusion 1 and 2: text_encoder CLIPTextModel"
    assert "dialect='a1111', weighting='comfy', long_prompt='a1111', pooled='first'" in lines[1]
    sdxl = repr(Conditioner.from_pipeline(tiny.sdxl(), clip_skip=1, cache=EmbeddingCache()))
    assert "text_encoder CLIPTextModel, text_encoder_2 CLIPTextModelWithProjection" in sdxl
    assert "clip_skip=1" in sdxl
    assert "cache=EmbeddingCache(memory)" in sdxl
    assert len(sdxl.splitlines()) == 2
