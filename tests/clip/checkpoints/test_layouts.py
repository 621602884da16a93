"""One CLIP in three layouts is one CLIP: the same tensors, features and digest."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPModel

from clipcond.clip import hf_from_openclip, load_clip, openclip_from_hf
from clipcond.errors import CheckpointError
from tests.clip.layouts import gelu_clip, openclip_config, save_openclip_folder
from tests.clip.openai_model import openai_clip, save_archive, seeded_weights
from tests.tiny import clip_tokenizer, save_tiny_clip, tiny_clip

TEXTS = ["a cat", "a red fox to the left of a blue ball", ""]


@pytest.fixture(scope="module")
def hf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hf") / "tiny"
    for part in gelu_clip():
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[".safetensors", ".bin"])
def openclip(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("openclip") / "tiny"
    return save_openclip_folder(root, suffix=request.param)


@pytest.fixture(scope="module")
def noise():
    return [Image.effect_noise((40, 30), 90).convert("RGB"), Image.new("RGB", (32, 32), "teal")]


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_transformers_to_openclip_and_back_is_exact(dtype):
    there = {k: v.to(dtype) for k, v in tiny_clip()[0].state_dict().items()}
    openclip = openclip_from_hf(there)
    assert openclip["visual.transformer.resblocks.1.attn.in_proj_weight"].shape == (96, 32)
    assert "visual_projection.weight" not in openclip
    same(hf_from_openclip(openclip), there)


@pytest.mark.parametrize("vision", ["vit", "resnet"])
def test_openai_to_transformers_and_back_is_exact(vision):
    model = openai_clip(vision)
    there = seeded_weights(model.state_dict())
    same(openclip_from_hf(hf_from_openclip(there)), there)


def test_converted_tensors_can_be_saved(tmp_path):
    state = hf_from_openclip(openclip_from_hf(tiny_clip()[0].state_dict()))
    save_file(state, tmp_path / "model.safetensors")
    same(load_file(tmp_path / "model.safetensors"), state)


def test_conversion_refuses_what_it_does_not_know():
    state = openclip_from_hf(tiny_clip()[0].state_dict())
    with pytest.raises(CheckpointError, match=r"file: .*visual\.trunk\.norm"):
        hf_from_openclip(state | {"visual.trunk.norm": torch.zeros(1)}, "file")
    with pytest.raises(CheckpointError, match=r"vision_model\.head"):
        openclip_from_hf({"vision_model.head": torch.zeros(1)})
    layer = "text_model.encoder.layers.0.self_attn.q_proj.weight"
    with pytest.raises(CheckpointError, match=r"layers\.0\.self_attn\.k_proj\.weight"):
        openclip_from_hf({layer: torch.zeros(2, 2)})


def test_openclip_and_transformers_folders_are_one_model(hf, openclip, noise):
    ours, theirs = load_clip(openclip), load_clip(hf)
    assert torch.equal(ours.encode_texts(TEXTS).features, theirs.encode_texts(TEXTS).features)
    assert torch.equal(ours.encode_pictures(noise), theirs.encode_pictures(noise))
    assert ours.digest == theirs.digest
    assert ours.preprocessing == replace(theirs.preprocessing, halves="even")
    assert (ours.layout, theirs.layout) == ("openclip", "transformers")
    assert ours.assumed == theirs.assumed == ()


def test_the_file_alone_finds_its_configuration_and_tokenizer_beside_it(openclip):
    file = next(openclip.glob("open_clip_*model.*"))
    assert load_clip(file).digest == load_clip(openclip).digest
    assert load_clip(file).name == file.name


@pytest.fixture
def wide():
    """An OpenCLIP state dict whose towers have whole heads of 64 channels."""
    return seeded_weights(openai_clip().state_dict(), seed=4)


def saved(state, file):
    torch.save(state, file)
    clip_tokenizer().save_pretrained(file.parent)
    return file


def test_a_bare_file_has_the_sizes_of_its_weights_and_says_what_it_assumed(wide, tmp_path):
    clip = load_clip(saved(wide, tmp_path / "bare.bin"))
    text, image = clip.architecture.text, clip.architecture.image
    assert (text.width, text.layers, text.heads, text.mlp) == (128, 2, 2, 512)
    assert (text.vocabulary, text.context, text.activation) == (638, 77, "gelu")
    assert (image.image_size, image.patch, image.width, image.layers) == (32, 8, 128, 2)
    assert (image.heads, image.mlp, clip.architecture.dim) == (2, 512, 16)
    for said in ("GELU", "causal mask", "eps 1e-5", "centre crop", "attention head"):
        assert any(said in line for line in clip.assumed)
    assert json.loads(json.dumps(clip.architecture.as_dict())) == clip.architecture.as_dict()


def test_quick_gelu_can_be_said_and_changes_features_and_digest(wide, tmp_path):
    file = saved(wide, tmp_path / "bare.bin")
    gelu, quick = load_clip(file), load_clip(file, quick_gelu=True)
    assert quick.architecture.text.activation == "quick_gelu"
    assert not any("GELU" in line for line in quick.assumed)
    assert gelu.digest != quick.digest
    assert not torch.allclose(
        gelu.encode_texts(TEXTS).features, quick.encode_texts(TEXTS).features, atol=1e-4
    )


def test_a_training_checkpoint_and_custom_text_names_are_the_same_model(wide, tmp_path):
    plain = load_clip(saved(wide, tmp_path / "bare.bin"))
    text = (
        "transformer.",
        "token_embedding.",
        "positional_embedding",
        "ln_final.",
        "text_projection",
    )
    custom = {f"text.{k}" if k.startswith(text) else k: v for k, v in wide.items()}
    wrapped = {
        "epoch": 3,
        "name": "run",
        "state_dict": {f"module.{k}": v for k, v in custom.items()},
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3}]},
    }
    assert load_clip(saved(wrapped, tmp_path / "epoch_3.pt")).digest == plain.digest


def test_openai_archives_become_transformers_models(tmp_path, noise):
    model = openai_clip()
    clip = load_clip(save_archive(model, tmp_path / "ViT.pt"), tokenizer=clip_tokenizer())
    assert clip.layout == "openai"
    assert isinstance(clip.model, CLIPModel)
    clip.model.save_pretrained(tmp_path / "saved")
    again = CLIPModel.from_pretrained(tmp_path / "saved")
    pixels = clip.preprocessing(noise)
    with torch.no_grad():
        saved_features = again.get_image_features(pixel_values=pixels).pooler_output
    assert torch.equal(saved_features, clip.encode_pictures(noise))


def test_the_digest_knows_every_weight_its_dtype_and_its_shape(tmp_path):
    folder = save_tiny_clip(tmp_path / "tiny")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    digests = {load_clip(folder).digest, load_clip(folder, dtype=torch.float16).digest}
    assert len(digests) == 1, "it is of what is stored"
    changed = copy.deepcopy(tensors)
    changed["text_model.final_layer_norm.bias"][3] += 1e-3
    for variant in (changed, {k: v.half() for k, v in tensors.items()}):
        save_file(variant, file, metadata={"format": "pt"})
        digests.add(load_clip(folder).digest)
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize(
    ("change", "quotes"),
    [
        ({"embed_dim": 64}, ("embed_dim is 64", "32")),
        ({"vision_cfg": {"image_size": 64}}, ("image_size is 64", "32")),
        ({"vision_cfg": {"layers": [1, 1, 1, 1]}}, ("layers is [1, 1, 1, 1]", "2")),
        ({"vision_cfg": {"head_width": 7}}, ("heads of 7",)),
        ({"vision_cfg": {"timm_model_name": "convnext"}}, ("timm_model_name 'convnext'", "plain")),
        ({"vision_cfg": {"pool_type": "avg"}}, ("pool_type 'avg'",)),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, ("hf_model_name 'roberta-base'",)),
        ({"text_cfg": {"heads": "many"}}, ("heads is 'many'",)),
        ({"text_cfg": None}, ("text_cfg is None",)),
        ({"multimodal_cfg": {"width": 8}}, ("multimodal_cfg", "plain")),
        ({"text_cfg": {"no_causal_mask": True}}, ("no_causal_mask True", "no plain CLIP")),
        ({"text_cfg": {"pool_type": "last"}}, ("pool_type 'last'",)),
        ({"text_cfg": {"norm_kwargs": {"eps": 1e-6}}}, ("norm_kwargs {'eps': 1e-06}",)),
        ({"text_cfg": {"act_kwargs": {"approximate": "tanh"}}}, ("act_kwargs",)),
        (
            {"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_224"}},
            ("in transformers' layout", "google/siglip"),
        ),
        ({"text_cfg": {"hf_model_name": "xlm-roberta-base"}}, ("metaclip-2",)),
    ],
)
def test_a_configuration_at_odds_with_the_weights_is_named(tmp_path, change, quotes):
    folder = save_openclip_folder(tmp_path / "tiny", config=openclip_config(**change))
    with pytest.raises(CheckpointError) as caught:
        load_clip(folder)
    for quote in ("open_clip_config.json", *quotes):
        assert quote in str(caught.value)


def test_a_configuration_says_quick_gelu_and_how_pictures_are_prepared(tmp_path):
    config = openclip_config(quick_gelu=True)
    config["preprocess_cfg"] |= {"mean": [0.5, 0.5, 0.5], "interpolation": "bilinear"}
    clip = load_clip(save_openclip_folder(tmp_path / "tiny", config=config))
    assert clip.architecture.image.activation == "quick_gelu"
    assert clip.preprocessing.mean == (0.5, 0.5, 0.5)
    assert clip.preprocessing.resample == Image.Resampling.BILINEAR
    with pytest.raises(CheckpointError, match="says quick_gelu True"):
        load_clip(tmp_path / "tiny", quick_gelu=False)


def test_pictures_are_squashed_where_the_configuration_says_so(tmp_path, noise):
    config = openclip_config()
    config["preprocess_cfg"]["resize_mode"] = "squash"
    folder = save_openclip_folder(tmp_path / "tiny", config=config)
    clip, center = load_clip(folder), load_clip(folder, crop="center")
    assert clip.preprocessing == load_clip(folder, crop="squash").preprocessing
    assert clip.preprocessing.as_dict()["crop"] == "squash 32 x 32"
    squashed = [picture.resize((32, 32), Image.Resampling.BICUBIC) for picture in noise]
    assert torch.equal(clip.encode_pictures(noise), center.encode_pictures(squashed))
    assert not torch.equal(clip.encode_pictures(noise), center.encode_pictures(noise))


def test_a_folder_with_both_layouts_is_read_as_transformers(tmp_path, hf):
    folder = save_openclip_folder(tmp_path / "both")
    for part in gelu_clip():
        part.save_pretrained(folder)
    assert load_clip(folder).layout == "transformers"
    (folder / "model.safetensors").unlink()
    assert load_clip(folder).layout == "openclip"


def test_no_weights_in_an_openclip_folder(tmp_path):
    folder = save_openclip_folder(tmp_path / "tiny")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"open_clip_model\.safetensors: missing"):
        load_clip(folder)


def test_transformers_tensors_in_a_file_ask_for_their_folder(hf):
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*name the folder"):
        load_clip(hf / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"config\.json: .*leave quick_gelu out"):
        load_clip(hf, quick_gelu=True)
