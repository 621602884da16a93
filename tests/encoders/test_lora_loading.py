"""LoRAs that a prompt names: put on a pipeline for a while, and taken off without a trace."""

import warnings

import pytest
import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

import clipcond
from clipcond import Conditioner
from clipcond.errors import CheckpointError, ClipcondError, LoraWarning, PromptSyntaxError
from tests import doubles as tiny
from tests.encoders.pipes import BUILD, with_lora

CLIPS = {
    "sd1": ["text_encoder"],
    "sdxl": ["text_encoder", "text_encoder_2"],
    "sd3": ["text_encoder", "text_encoder_2"],
    "flux": ["text_encoder"],
}
TEXT = ["q_proj", "v_proj"]
DENOISER = ["to_q", "to_v"]


def adapted(pipe, slot, seed, targets):
    with_lora(pipe, slot=slot, seed=seed, targets=targets, name=f"made{seed}")
    return get_peft_model_state_dict(getattr(pipe, slot), adapter_name=f"made{seed}")


def write(file, family="sd1", seed=1, slots=None):
    """A LoRA as diffusers saves what was trained with peft."""
    pipe = BUILD[family]()
    denoiser = "unet" if hasattr(pipe, "unet") else "transformer"
    layers = {}
    for slot in slots if slots is not None else [*CLIPS[family], denoiser]:
        state = adapted(pipe, slot, seed, TEXT if slot.startswith("text") else DENOISER)
        layers[f"{slot}_lora_layers"] = convert_state_dict_to_diffusers(state)
    file.parent.mkdir(exist_ok=True, parents=True)
    type(pipe).save_lora_weights(file.parent, **layers, weight_name=file.name)
    return file


def traces(pipe):
    """Everything that loading a LoRA could leave behind."""
    found = []
    for slot, part in pipe.components.items():
        if not isinstance(part, torch.nn.Module):
            continue
        for name, module in part.named_modules():
            tuned = hasattr(module, "scale_layer")
            found.append(
                (
                    slot,
                    name,
                    id(module),
                    module.training,
                    sorted(vars(module)),
                    tuned
                    and (dict(module.scaling), module.active_adapters, module.disable_adapters),
                )
            )
        found += [(slot, n, id(p), p.requires_grad, p._version) for n, p in part.named_parameters()]
        found.append(str(part.config))
        found.append(sorted(getattr(part, "peft_config", {})))
    return [found, sorted(vars(pipe)), pipe.get_list_adapters(), pipe.get_active_adapters()]


def embeds(pipe, prompt="a red cat"):
    return Conditioner.from_pipeline(pipe)(prompt).prompt_embeds


def picture(pipe, prompt="a red cat"):
    kwargs = Conditioner.from_pipeline(pipe)(prompt).kwargs_for(pipe)
    generator = torch.Generator().manual_seed(0)
    return pipe(**kwargs, num_inference_steps=1, generator=generator, output_type="pt").images


def loaded(family, file, text, denoiser):
    """The pipeline as its user would load one LoRA by hand."""
    pipe = BUILD[family]()
    pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name="ink")
    slots = pipe.get_list_adapters()
    weights = {slot: text if slot.startswith("text") else denoiser for slot in slots}
    pipe.set_adapters(["ink"], [weights])
    return pipe


@pytest.mark.parametrize("family", BUILD)
def test_a_tag_is_what_loading_by_hand_is_and_leaves_no_trace(family, tmp_path):
    file = write(tmp_path / "below" / "ink.v1.safetensors", family)
    pipe = BUILD[family]()
    plain, before = picture(pipe), traces(pipe)
    by_hand = loaded(family, file, 0.5, 0.8)
    prompt = "a red cat <lora:ink.v1:0.5:0.8>"
    with clipcond.apply_loras(pipe, prompt, folder=tmp_path):
        assert torch.equal(embeds(pipe, prompt), embeds(by_hand))
        inside = picture(pipe, prompt)
    assert torch.equal(inside, picture(by_hand))
    assert not torch.equal(inside, plain)
    assert traces(pipe) == before
    assert torch.equal(picture(pipe), plain)


@pytest.mark.parametrize("off", [False, True])
def test_those_that_were_there_act_on_and_stay_as_they_were(off, tmp_path):
    write(tmp_path / "ink.safetensors", seed=1)
    pipe = tiny.sd1()
    # other layers than the LoRA's, and not on the denoiser
    adapted(pipe, "text_encoder", 5, ["q_proj"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted(pipe, "text_encoder", 6, ["k_proj"])
    pipe.text_encoder.set_adapter("made5")
    layers = [part for part in pipe.text_encoder.modules() if hasattr(part, "scale_layer")]
    for n, layer in enumerate(layers):
        layer.set_scale("made5", 0.1 + n / 7)
    if off:
        pipe.disable_lora()
    before, alone = traces(pipe), embeds(pipe)
    with clipcond.apply_loras(pipe, "<lora:ink:0>", folder=tmp_path):
        assert torch.allclose(embeds(pipe), alone, atol=1e-6)
    with clipcond.apply_loras(pipe, "<lora:ink:1>", folder=tmp_path):
        assert not torch.allclose(embeds(pipe), alone, atol=1e-3)
    assert traces(pipe) == before
    assert torch.equal(embeds(pipe), alone)


def test_one_inside_the_other(tmp_path):
    for seed, name in enumerate(["ink", "oil"], start=1):
        write(tmp_path / f"{name}.safetensors", seed=seed)
    pipe = tiny.sd1()
    before = traces(pipe)
    with clipcond.apply_loras(pipe, "<lora:ink:0.5> <lora:oil:0.3>", folder=tmp_path):
        together = embeds(pipe)
    with clipcond.apply_loras(pipe, "<lora:ink:0.5>", folder=tmp_path):
        alone, between = embeds(pipe), traces(pipe)
        with clipcond.apply_loras(pipe, "<lora:oil:0.3>", folder=tmp_path):
            assert torch.allclose(embeds(pipe), together, atol=1e-5)
        with clipcond.apply_loras(pipe, "<lora:ink:0.5>", folder=tmp_path):
            assert not torch.equal(embeds(pipe), alone)
        assert traces(pipe) == between
        assert torch.equal(embeds(pipe), alone)
    assert traces(pipe) == before


def test_weights_of_a_lora_named_twice_add_up(tmp_path):
    file = write(tmp_path / "ink.safetensors")
    pipe = tiny.sd1()
    with clipcond.apply_loras(
        pipe, "<lora:ink:0.5:0.25> a cat <lora:ink:0.25:0.5>", folder=tmp_path
    ):
        assert torch.equal(embeds(pipe), embeds(loaded("sd1", file, 0.75, 0.75)))


def test_a_lora_of_one_part_only(tmp_path):
    write(tmp_path / "ink.safetensors", slots=["unet"])
    pipe = tiny.sd1()
    plain, drawn, before = embeds(pipe), picture(pipe), traces(pipe)
    with clipcond.apply_loras(pipe, "<lora:ink:1>", folder=tmp_path):
        assert torch.equal(embeds(pipe), plain)
        assert not torch.equal(picture(pipe), drawn)
    assert traces(pipe) == before


def test_what_goes_wrong_inside_or_while_loading_leaves_no_trace(tmp_path):
    write(tmp_path / "ink.safetensors")
    write(tmp_path / "xl.safetensors", "sdxl")
    save_file({"moss": torch.zeros(2, 32)}, tmp_path / "moss.safetensors")
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "ink.safetensors").read_bytes()[:900])
    pipe = tiny.sd1()
    before = traces(pipe)
    with (
        pytest.raises(ZeroDivisionError),
        clipcond.apply_loras(pipe, "<lora:ink:1>", folder=tmp_path),
    ):
        raise ZeroDivisionError
    assert traces(pipe) == before
    for name in ("torn", "moss", "xl"):
        with (
            pytest.raises(CheckpointError, match=rf"{name}\.safetensors is"),
            clipcond.apply_loras(pipe, f"<lora:ink:1> <lora:{name}:1>", folder=tmp_path),
        ):
            pass
        assert traces(pipe) == before


def test_a_name_that_is_not_there_is_pointed_at_with_those_near_it(tmp_path):
    write(tmp_path / "ink-v2.safetensors")
    write(tmp_path / "a" / "oil.safetensors")
    write(tmp_path / "b" / "oil.safetensors")
    (tmp_path / "inside").mkdir()
    pipe = tiny.sd1()

    def said(prompt, folder=tmp_path):
        with (
            pytest.raises(PromptSyntaxError) as caught,
            clipcond.apply_loras(pipe, prompt, folder=folder),
        ):
            pass
        error = caught.value
        return f"{error.message}|{error.text[slice(*error.span)]}|{error.hint}"

    assert said("a cat <lora:ink-v1:0.8>").startswith(
        f"no LoRA 'ink-v1' in {tmp_path}|<lora:ink-v1"
    )
    assert said("<lora:ink-v1:1>").endswith("did you mean ink-v2?")
    assert said("<lora:oil:1>").endswith("write <lora:a/oil:1> or <lora:b/oil:1>")
    assert said("<lora:zebra:1>").endswith("it has 2 LoRAs")
    for outside in ("../ink-v2", "a/../../x", "/etc/passwd", "..\\ink-v2"):
        assert "outside of" in said(f"<lora:{outside}:1>", tmp_path / "inside")
    with clipcond.apply_loras(pipe, "<lora:b/oil:1> <lora:ink-v2.safetensors:1>", folder=tmp_path):
        assert len(pipe.get_list_adapters()["unet"]) == 2


def test_prompts_of_one_batch_name_the_same(tmp_path):
    write(tmp_path / "ink.safetensors")
    pipe = tiny.sd1()
    same = ["a cat <lora:ink:0.5>", clipcond.parse("<lora:ink:0.5> a dog")]
    with clipcond.apply_loras(pipe, same, folder=tmp_path):
        assert pipe.get_active_adapters() == ["clipcond_ink"]
    for other in ("a dog", "a dog <lora:ink:0.6>"):
        with (
            pytest.raises(ClipcondError, match=r"one batch.*'a cat <lora:ink:0.5>' and 'a dog"),
            clipcond.apply_loras(pipe, ["a cat <lora:ink:0.5>", other], folder=tmp_path),
        ):
            pass


def test_no_tag_needs_no_folder_and_a_tag_needs_one(tmp_path):
    pipe = tiny.sd1()
    with clipcond.apply_loras(pipe, ["a cat", "<hypernet:ink:1> a dog"], folder=tmp_path / "none"):
        assert pipe.get_list_adapters() == {}
    with (
        pytest.raises(ClipcondError, match="is no folder to look for LoRAs in"),
        clipcond.apply_loras(pipe, "<lora:ink:1>", folder=tmp_path / "none"),
    ):
        pass


def test_a_lora_beside_a_merged_one_is_an_error(tmp_path):
    file = write(tmp_path / "ink.safetensors")
    pipe = loaded("sd1", file, 1.0, 1.0)
    pipe.fuse_lora()
    with (
        pytest.raises(ClipcondError, match="unfuse_lora"),
        clipcond.apply_loras(pipe, "<lora:ink:1>", folder=tmp_path),
    ):
        pass


def test_inversions_that_it_brings_along_are_named(tmp_path):
    state = load_file(write(tmp_path / "ink.safetensors"))
    state["bundle_emb.moss.string_to_param.*"] = torch.ones(2, 32)
    save_file(state, tmp_path / "ink.safetensors")
    pipe = tiny.sd1()
    with (
        pytest.warns(LoraWarning, match=r"with_inversions\(file\)"),
        clipcond.apply_loras(pipe, "<lora:ink:1>", folder=tmp_path),
    ):
        assert pipe.get_active_adapters() == ["clipcond_ink"]
    words = Conditioner.from_pipeline(pipe).with_inversions(tmp_path / "ink.safetensors")
    assert [t.vectors for t in words.report("a moss").prompts[0].tokens] == [1, 2]


def test_nothing_is_warned_of_otherwise(tmp_path):
    write(tmp_path / "ink.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with clipcond.apply_loras(tiny.sd1(), "<lora:ink:1>", folder=tmp_path):
            pass
