"""Files of whole models: the same tensors as the pipeline that they were written from, and one error for the rest."""

import pytest
import torch
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from clipcond import Conditioner
from clipcond.conditioning.value import TENSORS
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.families.single_file import LAYOUTS
from tests import doubles as tiny
from tests.families import layouts

NAMES = ["sd1", "sd2", "sdxl", "refiner", "sd3", "sd3_without_t5", "flux"]
PROMPT = "a (red:1.3) cat! and a ball"


@pytest.fixture(scope="module")
def pipes():
    return {name: layouts.pipeline(name) for name in NAMES}


@pytest.fixture(scope="module")
def files(pipes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {name: layouts.write(folder, name, pipe) for name, pipe in pipes.items()}


def assert_same(ours, theirs):
    for name in TENSORS:
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert (mine is None) == (other is None)
        assert mine is None or torch.equal(mine, other), name


@pytest.mark.parametrize("name", NAMES)
def test_bit_for_bit_what_the_pipeline_gives(name, pipes, files):
    ours = Conditioner.from_pretrained(files[name], tokenizer=layouts.tokenizers(name))
    theirs = Conditioner.from_pipeline(pipes[name])
    assert (ours.family, ours.width, ours.zeros) == (theirs.family, theirs.width, theirs.zeros)
    assert_same(ours(PROMPT, negative_prompt="bad!"), theirs(PROMPT, negative_prompt="bad!"))
    assert {p.encoder.module.dtype for p in ours.paths} == {torch.float32}
    assert not any(p.encoder.module.training for p in ours.paths)


@pytest.mark.pitfall(3)
@pytest.mark.parametrize("name", ["sd1", "sdxl", "sd3_without_t5"])
def test_files_without_the_inner_prefix(name, pipes, files, tmp_path):
    state = load_file(files[name])
    flat = {key.replace(".text_model.", "."): t for key, t in state.items()}
    assert flat.keys() != state.keys()
    save_file(flat, tmp_path / "flat.safetensors")
    ours = Conditioner.from_pretrained(
        str(tmp_path / "flat.safetensors"), tokenizer=layouts.tokenizers(name)
    )
    assert_same(ours(PROMPT), Conditioner.from_pipeline(pipes[name])(PROMPT))


PEERS = {
    "sd1": [("text_encoder", CLIPTextModel)],
    "sd2": [("text_encoder", CLIPTextModel)],
    "sdxl": [("text_encoder", CLIPTextModel), ("text_encoder_2", CLIPTextModelWithProjection)],
    "refiner": [("text_encoder_2", CLIPTextModelWithProjection)],
    "sd3": [("text_encoder", CLIPTextModelWithProjection)],
}


@pytest.mark.parity
@pytest.mark.parametrize("name", PEERS)
def test_the_tensors_are_those_of_diffusers_own_converter(name, pipes, files, tmp_path):
    """`from_single_file`'s converter, with the configurations that it would fetch from the hub."""
    ours = Conditioner.from_pretrained(files[name], tokenizer=layouts.tokenizers(name))
    mine = {path.role.slot: path.encoder.module for path in ours.paths}
    state = load_file(files[name])
    if name == "sd2":  # diffusers knows the unused layer by its number in the real model
        state = {key: t for key, t in state.items() if ".resblocks.3." not in key}
    for slot, model_class in PEERS[name]:
        getattr(pipes[name], slot).config.save_pretrained(tmp_path / slot)
        # how diffusers tells two encoders of one file apart: by their widths, which are one here
        only = state
        if name == "sdxl":
            number = 1 if slot.endswith("2") else 0
            only = {key: t for key, t in state.items() if f"embedders.{number}." in key}
        theirs = create_diffusers_clip_model_from_ldm(
            model_class, dict(only), config=str(tmp_path), subfolder=slot, torch_dtype=torch.float32
        ).state_dict()
        found = mine[slot].state_dict()
        assert found.keys() == theirs.keys()
        assert all(torch.equal(found[key], tensor) for key, tensor in theirs.items())


def test_only_the_text_encoders_are_read(pipes, files, tmp_path):
    """A denoiser whose bytes are nonsense, and larger than what is read, does not matter."""
    state = load_file(files["sd1"])
    state["model.diffusion_model.out.weight"] = torch.full((3000, 300), torch.nan)
    save_file(state, tmp_path / "big.safetensors")
    ours = Conditioner.from_pretrained(
        tmp_path / "big.safetensors", tokenizer=tiny.clip_tokenizer()
    )
    assert_same(ours(PROMPT), Conditioner.from_pipeline(pipes["sd1"])(PROMPT))


def test_its_conditionings_are_for_the_same_pipeline(pipes, files):
    ours = Conditioner.from_pretrained(files["sdxl"], tokenizer=tiny.clip_tokenizer())(PROMPT)
    assert set(ours.kwargs_for(pipes["sdxl"])) >= {"prompt_embeds", "pooled_prompt_embeds"}


@pytest.mark.parametrize(("name", "width"), [("sd1", 128), ("sdxl", 256), ("sd3", 256)])
def test_without_a_denoiser_the_encoders_say_the_width(name, width, pipes, tmp_path):
    kept = {key: None for key in layouts.tensors_of(name, pipes[name]) if "diffusion_model" in key}
    file = layouts.write(tmp_path, name, pipes[name], **kept)
    assert Conditioner.from_pretrained(file, tokenizer=layouts.tokenizers(name)).width == width


def test_half_and_eight_bit_floats_become_float32(pipes, tmp_path):
    state = layouts.tensors_of("sd3", pipes["sd3"])
    kinds = {"clip_l": torch.float16, "t5xxl": torch.float8_e4m3fn}
    save_file(
        {
            key: t.to(next((k for n, k in kinds.items() if n in key), t.dtype))
            for key, t in state.items()
        },
        tmp_path / "half.safetensors",
    )
    ours = Conditioner.from_pretrained(
        tmp_path / "half.safetensors", tokenizer=layouts.tokenizers("sd3")
    )
    assert {path.encoder.module.dtype for path in ours.paths} == {torch.float32}
    t5 = ours.paths[2].encoder.module.shared.weight
    assert torch.equal(t5, t5.to(torch.float8_e4m3fn).float())
    assert ours(PROMPT).prompt_embeds.isfinite().all()


SD1 = "cond_stage_model.transformer.text_model."
SD2 = "cond_stage_model.model."
CLIP_G = "text_encoders.clip_g.transformer."


@pytest.mark.pitfall(3)
@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "sd1",
            {f"{SD1}encoder.layers.{i}.mlp.fc1.bias": None for i in (0, 1, 2)},
            r"cond_stage_model\.transformer\.\*: lacks 3 tensors of a CLIPTextModel of 3 layers: "
            r"text_model\.encoder\.layers\.0\.mlp\.fc1\.bias, text_model\.encoder",
        ),
        (
            "sd1",
            {f"{SD1}encoder.layers.0.gate.{i}": torch.ones(2) for i in range(7)},
            r"holds, with no place for them, 7 tensors .*gate\.0, .* and 2 more",
        ),
        ("sd1", {f"{SD1}embeddings.token_embedding.weight": None}, "lacks the tensor token_embed"),
        ("sd1", {f"{SD1}final_layer_norm.weight": torch.ones(5)}, "do not fit each other"),
        ("sd1", {f"{SD1}final_layer_norm.weight": torch.ones(128).int()}, "quantised"),
        (
            "sd2",
            {f"{SD2}transformer.resblocks.1.attn.in_proj_weight": None},
            r"model\.\*: lacks 1 tensors of a CLIPTextModel of 3 layers: "
            r"transformer\.resblocks\.1\.attn\.in_proj_weight",
        ),
        ("sd2", {f"{SD2}visual.proj2": torch.ones(2)}, r"a plain CLIP has not: visual\.proj2"),
        ("sd3_without_t5", {f"{CLIP_G}text_projection.weight": None}, "lacks 1 .*text_projection"),
        ("flux", {f"{layouts.T5}shared.weight": None}, r"lacks shared\.weight, so it is no T5"),
        ("flux", {f"{layouts.T5}encoder.final_layer_norm.weight": None}, "lacks 1 tensors of a T5"),
        ("flux", {f"{layouts.T5}scale": torch.ones(2)}, "no place for them, 1 tensors of a T5"),
    ],
)
def test_missing_and_strange_tensors_are_listed(name, changes, message, pipes, tmp_path):
    file = layouts.write(tmp_path, name, pipes[name], **changes)
    with pytest.raises(CheckpointError, match=message) as raised:
        Conditioner.from_pretrained(file, tokenizer=layouts.tokenizers(name))
    assert str(file) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_tower_whose_heads_nothing_says_is_refused(tmp_path):
    file = layouts.write(tmp_path, "sd1", tiny.sd1())
    with pytest.raises(CheckpointError, match="32 channels has no whole number of heads of 64"):
        Conditioner.from_pretrained(file, tokenizer=tiny.clip_tokenizer())


def test_files_of_other_kinds_are_refused(tmp_path, files):
    other = tmp_path / "encoder.safetensors"
    save_file({"text_model.final_layer_norm.bias": torch.ones(3)}, other)
    with pytest.raises(CheckpointError, match="no text encoders of a known layout") as raised:
        Conditioner.from_pretrained(other)
    assert all(layout.family in str(raised.value) for layout in LAYOUTS)
    assert "but text_model.final_layer_norm.bias" in str(raised.value)
    with pytest.raises(CheckpointError, match=r"model\.ckpt: only \.safetensors .*save_file"):
        Conditioner.from_pretrained(tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=r"gone\.safetensors: not a readable"):
        Conditioner.from_pretrained(tmp_path / "gone.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(files["sd1"].read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        Conditioner.from_pretrained(cut)


def test_the_tokenizer_may_be_a_folder_a_mapping_or_beside_the_file(files, pipes, tmp_path):
    tiny.clip_tokenizer().save_pretrained(tmp_path / "clip")
    tiny.t5_tokenizer().save_pretrained(tmp_path / "t5")
    theirs = Conditioner.from_pipeline(pipes["flux"])(PROMPT)
    given = {"tokenizer": tmp_path / "clip", "tokenizer_2": str(tmp_path / "t5")}
    assert_same(Conditioner.from_pretrained(files["flux"], tokenizer=given)(PROMPT), theirs)
    tiny.clip_tokenizer().save_pretrained(tmp_path)
    file = layouts.write(tmp_path, "sdxl", pipes["sdxl"])
    ours = Conditioner.from_pretrained(file)
    assert_same(ours(PROMPT), Conditioner.from_pipeline(pipes["sdxl"])(PROMPT))


def test_the_callers_tokenizer_stays_as_it_is(files):
    given = tiny.clip_tokenizer()
    Conditioner.from_pretrained(files["sd2"], tokenizer=given)
    assert given.pad_token == "<|endoftext|>"
    assert given("!").input_ids == tiny.clip_tokenizer()("!").input_ids


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("sd1", None, "no tokenizer beside it for a text tower of 638 tokens; pass tokenizer="),
        ("sd1", tiny.clip_tokenizer("!"), "for text_encoder pads with '!', but the encoder with"),
        ("sd1", "no/such-tokenizer", "no such folder, and not to be had from the hub"),
        ("sd1", {"tokenizer_2": tiny.clip_tokenizer()}, "'tokenizer_2' has no text encoder in"),
        ("flux", tiny.clip_tokenizer(), r"holds a T5 \(text_encoder_2\) but no tokenizer for it"),
        (
            "flux",
            {"tokenizer": tiny.clip_tokenizer(), "tokenizer_2": tiny.clip_tokenizer()},
            "is no T5Tokenizer",
        ),
        (
            "flux",
            {"tokenizer": tiny.clip_tokenizer(), "tokenizer_2": "tests"},
            "no T5 tokenizer in it",
        ),
    ],
)
def test_tokenizers_that_are_not_there_or_of_another_model(name, given, message, files):
    with pytest.raises(ClipcondError, match=message):
        Conditioner.from_pretrained(files[name], tokenizer=given)


def test_a_folder_has_its_own_tokenizer(tmp_path):
    with pytest.raises(ClipcondError, match="has its own; it is for a single"):
        Conditioner.from_pretrained(tmp_path, tokenizer=tiny.clip_tokenizer())


def test_a_vocabulary_of_full_size_is_looked_for_everywhere(pipes, tmp_path, monkeypatch):
    """Beside the file, in installed packages, on the hub; the error says so."""
    rows = torch.zeros(49408, layouts.WIDTH)
    changes = {f"{SD1}embeddings.token_embedding.weight": rows}
    file = layouts.write(tmp_path, "sd1", pipes["sd1"], **changes)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"pass tokenizer=.*openai/clip-vit-large-patch14: "):
        Conditioner.from_pretrained(file)
