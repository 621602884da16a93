"""Folders that load, and the one line that says what is wrong with those that do not."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPProcessor

from clipcond.clip import load_clip
from clipcond.errors import CheckpointError
from tests.tiny import save_tiny_clip, save_tiny_pipeline, tiny_clip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("saved") / "tiny")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tiny")


@pytest.mark.pitfall(25)
def test_features_equal_transformers_own(saved):
    clip = load_clip(saved)
    model, tokenizer, _ = tiny_clip()
    texts = ["a cat", "a red fox on a blue background", ""]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        theirs = model.get_text_features(**inputs).pooler_output
    assert torch.allclose(clip.encode_texts(texts).features, theirs, atol=1e-6)


def test_a_pipeline_folder_holds_its_clip(tmp_path):
    pipeline = save_tiny_pipeline(tmp_path / "model")
    clip = load_clip(pipeline)
    assert clip.digest == load_clip(pipeline / "clip").digest
    assert clip.name == "model"


def test_transformers_5_processor_folders_load(tmp_path):
    model, tokenizer, processor = tiny_clip()
    model.save_pretrained(tmp_path)
    CLIPProcessor(image_processor=processor, tokenizer=tokenizer).save_pretrained(tmp_path)
    assert not (tmp_path / "preprocessor_config.json").exists()
    assert load_clip(tmp_path).preprocessing.crop == (32, 32)


def test_shards_and_the_counted_positions_of_old_folders_are_the_same_model(
    saved, folder, tmp_path
):
    expected = load_clip(saved)
    tiny_clip()[0].save_pretrained(folder, max_shard_size="40KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert load_clip(folder).digest == expected.digest
    old = shutil.copytree(saved, tmp_path / "old")
    tensors = load_file(old / "model.safetensors")
    for tower, count in (("text", 77), ("vision", 17)):
        tensors[f"{tower}_model.embeddings.position_ids"] = torch.arange(count)[None]
    save_file(tensors, old / "model.safetensors", metadata={"format": "pt"})
    assert load_clip(old).digest == expected.digest


def refused(folder, *quotes):
    with pytest.raises(CheckpointError) as caught:
        load_clip(folder)
    message = str(caught.value)
    assert "\n" not in message
    for quote in quotes:
        assert quote in message


def test_no_folder_a_file_an_empty_folder(tmp_path):
    refused(tmp_path / "none", "none: no such folder")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "is a file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no config.json")


def test_a_name_that_is_no_folder_is_looked_for_on_the_hub():
    refused("nobody/no-such-clip", "nobody/no-such-clip: no such folder", "hub")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"]
)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, name)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"]
)
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\x00" * 4096, b"\xff\xfe garbage"])
def test_a_damaged_file_is_named(folder, name, damage):
    (folder / name).write_bytes(damage)
    refused(folder, name)


def test_weights_cut_short_are_named(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    refused(folder, "model.safetensors", "again")


def test_missing_tensors_are_an_error_not_random_numbers(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["text_projection.weight"]
    save_file(tensors, folder / "model.safetensors")
    refused(folder, "text_projection.weight", "model.safetensors")


def test_weights_of_another_shape_are_an_error(folder):
    config = json.loads((folder / "config.json").read_text())
    config["projection_dim"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "config.json")


def test_another_kind_of_model_is_an_error(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refused(folder, "'bert'")


def test_another_models_picture_size_is_an_error(folder):
    config = json.loads((folder / "preprocessor_config.json").read_text())
    config["size"], config["crop_size"] = {"shortest_edge": 64}, {"height": 64, "width": 64}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    refused(folder, "(64, 64)", "32")


def test_pickled_weights_are_never_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    refused(folder, "safetensors")
