"""What changes an encoder: fewer layers, LoRAs, textual inversions."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig
from safetensors.torch import save_file

from clipcond import Conditioner, TextualInversion
from clipcond.errors import CheckpointError, ClipcondError
from tests import doubles as tiny

PROMPT, NEGATIVE = "a (red:1.3) cat", "a blue dog"
SD1, SDXL, SD3 = tiny.sd1(), tiny.sdxl(zeros=False), tiny.sd3()


def inner(module):
    return getattr(module, "text_model", module)


# --- clip skip -------------------------------------------------------------------------------------------------------


def skipped(text, skip):
    """A prompt's states as diffusers means clip_skip for Stable Diffusion 1 (its own code does not run)."""
    ids = SD1.tokenizer(text, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        found = SD1.text_encoder(ids, output_hidden_states=True).hidden_states
        return inner(SD1.text_encoder).final_layer_norm(found[-(skip + 1)])


@pytest.mark.pitfall(1, 33)
@pytest.mark.parametrize("skip", [0, 1, 2, 3])
def test_clip_skip_is_under_the_final_layer_norm_on_both_sides(skip):
    ours = Conditioner.from_pipeline(SD1, clip_skip=skip)("a red cat", negative_prompt=NEGATIVE)
    assert torch.equal(ours.prompt_embeds, skipped("a red cat", skip))
    assert torch.equal(ours.negative_prompt_embeds, skipped(NEGATIVE, skip))


@pytest.mark.parametrize("pipe", [SDXL, SD3], ids=["sdxl", "sd3"])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_clip_skip_is_the_pipelines_own_where_that_works(pipe, skip):
    others = [] if pipe is SDXL else ["a red cat", "a red cat"]
    with torch.no_grad():
        own = pipe.encode_prompt("a red cat", *others, clip_skip=skip)
    ours = Conditioner.from_pipeline(pipe, clip_skip=skip)("a red cat", negative_prompt="a red cat")
    assert torch.equal(ours.prompt_embeds, own[0])
    assert torch.equal(ours.pooled_prompt_embeds, own[2])
    assert torch.equal(ours.negative_prompt_embeds, own[0])  # the pipeline forgets it here


@given(st.floats(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_fraction_lies_between_two_layers(skip):
    ids = SD1.tokenizer("a red cat", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        found = SD1.text_encoder(ids, output_hidden_states=True).hidden_states
        low, high = found[-1 - math.floor(skip)], found[-1 - math.ceil(skip)]
        mixed = low + (skip - math.floor(skip)) * (high - low)
        expected = inner(SD1.text_encoder).final_layer_norm(mixed)
    ours = Conditioner.from_pipeline(SD1, clip_skip=skip)("a red cat").prompt_embeds
    assert torch.allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("skip", [-1, 3.5, math.nan, math.inf])
def test_layers_that_are_not_there_are_an_error(skip):
    with pytest.raises(ClipcondError, match=r"clip_skip=.*from 0 to 3"):
        Conditioner.from_pipeline(SD1, clip_skip=skip)


def test_clip_skip_without_a_clip_that_is_read_is_an_error():
    with pytest.raises(ClipcondError, match="leave it out"):
        Conditioner.from_pipeline(tiny.flux(), clip_skip=1)


# --- LoRA ------------------------------------------------------------------------------------------------------------


def with_lora(pipe, *slots):
    torch.manual_seed(3)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    for slot in slots:
        getattr(pipe, slot).add_adapter(config)
    return pipe


@pytest.mark.pitfall(2)
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 2.0])
def test_lora_scale_is_the_merged_weights(scale):
    pipe = with_lora(tiny.sdxl(zeros=False), "text_encoder", "text_encoder_2")
    ours = Conditioner.from_pipeline(pipe)(PROMPT, lora_scale=scale)
    for slot in ("text_encoder", "text_encoder_2"):
        for part in getattr(pipe, slot).modules():
            if hasattr(part, "scale_layer"):
                with torch.no_grad():
                    part.base_layer.weight += scale * part.get_delta_weight("default")
                part.scaling["default"] = 0.0
    merged = Conditioner.from_pipeline(pipe)(PROMPT)
    assert torch.allclose(ours.prompt_embeds, merged.prompt_embeds, atol=1e-5)
    assert torch.allclose(ours.pooled_prompt_embeds, merged.pooled_prompt_embeds, atol=1e-5)


def test_lora_scale_leaves_no_trace_even_after_an_error():
    pipe = with_lora(tiny.sd1(), "text_encoder")
    layers = [m for m in pipe.text_encoder.modules() if hasattr(m, "scaling")]
    for n, layer in enumerate(layers):
        layer.scaling["default"] = 0.1 * (n + 1) / 3
    before = [dict(layer.scaling) for layer in layers]
    conditioner = Conditioner.from_pipeline(pipe)
    plain = conditioner(PROMPT).prompt_embeds
    assert not torch.equal(conditioner(PROMPT, lora_scale=0.7).prompt_embeds, plain)
    assert [dict(layer.scaling) for layer in layers] == before
    broken = pipe.text_encoder.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        conditioner(PROMPT, lora_scale=0)
    broken.remove()
    assert [dict(layer.scaling) for layer in layers] == before
    assert torch.equal(conditioner(PROMPT).prompt_embeds, plain)


def test_lora_scale_without_a_lora_or_with_a_merged_one_is_an_error():
    with pytest.raises(ClipcondError, match="no text encoder has a LoRA"):
        Conditioner.from_pipeline(SD1)(PROMPT, lora_scale=0.5)
    pipe = with_lora(tiny.sd1(), "text_encoder")
    for part in pipe.text_encoder.modules():
        if hasattr(part, "merge"):
            part.merge()
    with pytest.raises(ClipcondError, match="unfuse_lora"):
        Conditioner.from_pipeline(pipe)(PROMPT, lora_scale=0.5)


# --- textual inversion -----------------------------------------------------------------------------------------------


def vectors(count, width=32, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def embedded(*rows):
    """A prompt's states when each row is a word of the tiny vocabulary or a vector: by a table of its own."""
    pipe = tiny.sd1()
    ids, table = [pipe.tokenizer.bos_token_id], pipe.text_encoder.get_input_embeddings().weight.data
    for row in rows:
        if isinstance(row, str):
            ids += pipe.tokenizer(row, add_special_tokens=False).input_ids
        else:
            ids.append(len(table))
            table = torch.cat([table, row[None]])
    ids += [pipe.tokenizer.eos_token_id] * (77 - len(ids))
    pipe.text_encoder.set_input_embeddings(torch.nn.Embedding.from_pretrained(table))
    with torch.no_grad():
        return pipe.text_encoder(torch.tensor([ids])).last_hidden_state


FORMATS = {
    "diffusers.safetensors": lambda v: {"<moss>": v},
    "diffusers.bin": lambda v: {"<moss>": v},
    "a1111.pt": lambda v: {"string_to_param": {"*": v}, "name": "<moss>", "step": 10},
    "<moss>.safetensors": lambda v: {"emb_params": v},
    "<moss>.pt": lambda v: {"clip_l": v},
}


@pytest.mark.pitfall(6)
@pytest.mark.parametrize("file", FORMATS)
def test_files_of_every_kind(file, tmp_path):
    path, own = tmp_path / file, vectors(3)
    save = save_file if path.suffix == ".safetensors" else torch.save
    save(FORMATS[file](own), path)
    conditioner = Conditioner.from_pipeline(SD1).with_inversions(path)
    ours = conditioner("a <MOSS> cat").prompt_embeds
    assert torch.allclose(ours, embedded("a", *own, "cat"), atol=1e-6)


def test_nothing_is_left_on_the_pipeline():
    pipe = tiny.sd1()
    table = pipe.text_encoder.get_input_embeddings()
    before, size = table.weight.clone(), len(pipe.tokenizer)
    plain = Conditioner.from_pipeline(pipe)
    plain.with_inversions(TextualInversion("moss", {"": vectors(2)}))("a moss cat")
    assert pipe.text_encoder.get_input_embeddings() is table
    assert torch.equal(table.weight, before)
    assert len(pipe.tokenizer) == size
    assert not table._forward_hooks
    assert torch.equal(
        plain("a moss cat").prompt_embeds,
        Conditioner.from_pipeline(SD1)("a moss cat").prompt_embeds,
    )


def test_the_longest_name_counts_and_never_a_part_of_a_word():
    short, long = vectors(1, seed=1), vectors(2, seed=2)
    conditioner = Conditioner.from_pipeline(SD1).with_inversions(
        TextualInversion("cat", {"": short}), TextualInversion("cat-2", {"": long})
    )
    assert torch.allclose(
        conditioner("a cat-2 cat").prompt_embeds, embedded("a", *long, *short), atol=1e-6
    )
    assert torch.allclose(
        conditioner("embedding:CAT red").prompt_embeds, embedded(*short, "red"), atol=1e-6
    )
    plain = Conditioner.from_pipeline(SD1)
    assert torch.equal(conditioner("a cats").prompt_embeds, plain("a cats").prompt_embeds)


def test_an_inversion_is_weighed_as_one_and_reported_as_one():
    own = vectors(3)
    conditioner = Conditioner.from_pipeline(SD1).with_inversions(
        TextualInversion("moss", {"": own})
    )
    heavy = conditioner("a (moss:1.5) cat")
    empty = conditioner("").prompt_embeds
    plain = embedded("a", *own, "cat")
    expected = plain.clone()
    expected[:, 2:5] = empty[:, 2:5] + 1.5 * (plain - empty)[:, 2:5]
    assert torch.allclose(heavy.prompt_embeds, expected, atol=1e-5)
    tokens = heavy.report.prompts[0].tokens
    assert [(t.text, t.weight, t.vectors) for t in tokens] == [
        ("a", 1.0, 1),
        ("moss", 1.5, 3),
        ("cat", 1.0, 1),
    ]
    assert heavy.report.prompts[0].length == 5


@given(
    st.sampled_from(["a1111", "comfy", "sentence", "truncate"]),
    st.lists(st.sampled_from(["cat", "moss", ", ", "red. "]), max_size=40),
)
@settings(max_examples=40, deadline=None)
def test_no_policy_splits_an_inversion(policy, words):
    conditioner = Conditioner.from_pipeline(SD1, long_prompt=policy).with_inversions(
        TextualInversion("moss", {"": vectors(30)})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = conditioner.report(" ".join(words)).prompts[0]
    per_window = [
        sum(t.vectors for t in report.tokens if t.chunk == c) for c in range(report.chunks)
    ]
    assert max(per_window) <= 75
    assert policy == "truncate" or sum(t.vectors == 30 for t in report.tokens) == words.count(
        "moss"
    )


def test_one_file_for_both_encoders_of_sdxl(tmp_path):
    first, second = (
        getattr(SDXL, slot).config.hidden_size for slot in ("text_encoder", "text_encoder_2")
    )
    own = {"clip_l": vectors(2, first, 1), "clip_g": vectors(2, second, 2)}
    save_file(own, tmp_path / "moss.safetensors")
    ours = Conditioner.from_pipeline(SDXL).with_inversions(tmp_path / "moss.safetensors")(
        "a moss cat"
    )
    pipe = tiny.sdxl(zeros=False)  # what diffusers takes two calls for
    pipe.load_textual_inversion({"moss": own["clip_l"]}, token="moss", text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)  # fmt: skip
    pipe.load_textual_inversion({"moss": own["clip_g"]}, token="moss", text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2)  # fmt: skip
    loaded = Conditioner.from_pipeline(pipe)("a moss cat")
    assert torch.allclose(ours.prompt_embeds, loaded.prompt_embeds, atol=1e-6)
    assert torch.allclose(ours.pooled_prompt_embeds, loaded.pooled_prompt_embeds, atol=1e-6)


@pytest.mark.pitfall(5, 6)
def test_what_the_pipeline_has_loaded_is_read_whole_whatever_its_case():
    pipe, own = tiny.sd1(), vectors(3)
    pipe.load_textual_inversion({"EasyNegative": own}, token="EasyNegative")
    ours = Conditioner.from_pipeline(pipe)("a EasyNegative cat")
    assert torch.allclose(ours.prompt_embeds, embedded("a", *own, "cat"), atol=1e-6)
    assert [t.vectors for t in ours.report.prompts[0].tokens] == [1, 3, 1]


@pytest.mark.pitfall(6)
def test_pooled_vectors_stay_at_the_end_of_text_with_vectors_of_higher_ids():
    pipe = tiny.sdxl(zeros=False)
    pipe.text_encoder_2.config.eos_token_id = 2  # as the models of the time carry it
    conditioner = Conditioner.from_pipeline(pipe)
    pipe.load_textual_inversion({"moss": vectors(1, pipe.text_encoder_2.config.hidden_size)}, token="moss", text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2)  # fmt: skip
    with torch.no_grad():
        ids = pipe.tokenizer_2("a moss cat", padding="max_length", return_tensors="pt").input_ids
        end = int((ids[0] == pipe.tokenizer_2.eos_token_id).int().argmax())
        states = pipe.text_encoder_2(ids).last_hidden_state[:, end]
        expected = pipe.text_encoder_2.text_projection(states)
    assert torch.allclose(conditioner("a moss cat").pooled_prompt_embeds, expected, atol=1e-6)


def test_vectors_for_another_model_are_an_error_with_both_widths():
    with pytest.raises(ClipcondError, match=r"vectors of 768.*text_encoder: 32"):
        Conditioner.from_pipeline(SD1).with_inversions(
            TextualInversion("moss", {"": vectors(1, 768)})
        )
    with pytest.raises(ClipcondError, match=r"vectors of 768 for text_encoder, which is 32 wide"):
        Conditioner.from_pipeline(SD1).with_inversions(
            TextualInversion("moss", {"clip_l": vectors(1, 768)})
        )
    with pytest.raises(ClipcondError, match="90 vectors; a window of text_encoder holds 75"):
        Conditioner.from_pipeline(SD1).with_inversions(TextualInversion("moss", {"": vectors(90)}))
    moss = TextualInversion("moss", {"": vectors(1)})
    with pytest.raises(ClipcondError, match="twice"):
        Conditioner.from_pipeline(SD1).with_inversions(moss, moss)


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_hostile_files_are_one_clear_error_and_run_no_code(tmp_path, capsys):
    torch.save({"moss": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00")
    save_file({"a": vectors(1), "b": vectors(1)}, tmp_path / "two.safetensors")
    torch.save([1, 2], tmp_path / "list.bin")
    for name in ("evil.pt", "cut.safetensors", "two.safetensors", "list.bin", "missing.pt"):
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
            TextualInversion.load(tmp_path / name)
    assert "code ran" not in capsys.readouterr().out
