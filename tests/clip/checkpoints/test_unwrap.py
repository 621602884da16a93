"""A CLIP is found in whatever a training script saved it in, and what was left out is told."""

import argparse
import collections
import datetime
import pathlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clipcond.clip import load_clip, save_clip
from clipcond.clip.checkpoints.unwrap import unwrap
from clipcond.errors import CheckpointError
from tests.clip.layouts import save_openclip_folder
from tests.clip.openai_model import openai_clip, seeded_weights
from tests.tiny import clip_tokenizer

CUSTOM = (
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
)


@pytest.fixture(scope="module")
def state():
    return seeded_weights(openai_clip().state_dict(), seed=4)


@pytest.fixture(scope="module")
def other():
    return seeded_weights(openai_clip().state_dict(), seed=5)


def loaded(content, tmp_path, name="saved.pt"):
    file = tmp_path / name
    if file.suffix == ".safetensors":
        save_file(content, file)
    else:
        torch.save(content, file)
    return load_clip(file, tokenizer=clip_tokenizer())


@pytest.fixture(scope="module")
def plain(state, tmp_path_factory):
    return loaded(state, tmp_path_factory.mktemp("plain"))


def under(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


WRAPPED = {
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "model": lambda state: {"model": state, "args": {"lr": 1e-3}},
    "module": lambda state: {"module": state, "global_step": 7},
    "net in net": lambda state: {"checkpoint": {"net": state}},
    "list beside": lambda state: {"state_dict": state, "history": [1.0, 2.0], "name": "run"},
    "ema only": lambda state: {"ema_state_dict": state},
    "DDP": lambda state: under("module.", state),
    "compiled DDP": lambda state: under("module._orig_mod.", state),
    "FSDP inside": lambda state: {
        name.replace("resblocks.", "resblocks._fsdp_wrapped_module."): t for name, t in state.items()
    },
    "Lightning": lambda state: {"state_dict": under("model.", state), "pytorch-lightning_version": "2"},
    "Lightning's clip": lambda state: {"state_dict": under("clip.", state), "loops": {}},
    "Lightning's model.clip": lambda state: {"state_dict": under("model.clip.", state)},
    "custom text": lambda state: {
        "model": {f"module.text.{k}" if k.startswith(CUSTOM) else f"module.{k}": t for k, t in state.items()}
    },
    "optimizer beside": lambda state: {
        "state_dict": state,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3}]},
        "scaler": {"scale": torch.tensor(2.0)},
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WRAPPED)
def test_wrapped_weights_are_the_same_model(state, plain, tmp_path, way):
    clip = loaded(WRAPPED[way](state), tmp_path, "saved.ckpt")
    assert clip.digest == plain.digest
    assert clip.assumed == plain.assumed


def test_in_safetensors_too(state, plain, tmp_path):
    clip = loaded(under("model.clip.", state), tmp_path, "saved.safetensors")
    assert clip.digest == plain.digest


HARMLESS = {
    "arguments": argparse.Namespace(lr=1e-3, name="run", path=pathlib.Path("/data")),
    "numpy": {"best": np.float64(0.5), "curve": np.arange(3.0), "step": np.int64(3)},
    "collections": [collections.Counter("ab"), collections.deque([1]), {1, 2}, frozenset({3})],
    "default": collections.defaultdict(list, {"a": [1]}),
    "time": [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1)],
    "torch": [torch.Size([1, 2]), torch.device("cpu"), torch.float16, torch.bfloat16],
    "slices": [slice(1, 2), range(3), 1j, b"bytes", bytearray(b"x"), None, True],
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless_objects_beside_weights_do_no_harm(state, plain, tmp_path, kind):
    content = {"state_dict": state, "beside": HARMLESS[kind]}
    assert loaded(content, tmp_path).digest == plain.digest


def test_weights_in_a_dictionary_with_a_default_are_read(state, plain, tmp_path):
    content = collections.defaultdict(dict, {"model": collections.defaultdict(int, state)})
    assert loaded(content, tmp_path).digest == plain.digest


@pytest.mark.parametrize(
    "order", [("model", "ema"), ("ema", "model"), ("state_dict_ema", "state_dict")]
)
def test_of_a_model_and_its_average_the_model_is_taken_and_that_is_told(
    state, other, plain, tmp_path, order
):
    content = {key: other if "ema" in key else state for key in order}
    clip = loaded(content, tmp_path)
    average, model = sorted(order, key=lambda key: "ema" not in key)
    assert clip.digest == plain.digest
    assert clip.assumed[-1] == f"the weights under {model!r}, and not {average!r}"


def test_the_first_of_two_models_and_other_tensors_are_told(state, other, plain, tmp_path):
    content = under("student.", state) | under("teacher.", other) | {"head.weight": torch.zeros(3)}
    clip = loaded(content, tmp_path)
    assert clip.digest == plain.digest
    assert clip.assumed[-1] == "the weights under 'student', and not 'teacher', head.weight"


def test_a_model_beside_a_dictionary_of_its_average(state, other, plain, tmp_path):
    clip = loaded({**state, "ema": other}, tmp_path)
    assert clip.digest == plain.digest
    assert clip.assumed[-1] == "the weights at the top, and not 'ema'"


def test_one_tensor_in_and_out_of_a_wrapper_is_refused(state):
    with pytest.raises(CheckpointError, match=r"file: holds ln_final\.bias twice"):
        unwrap({**state, "module.ln_final.bias": state["ln_final.bias"]}, "file")


def test_half_a_model_says_what_it_lacks(state, tmp_path):
    text = {name: t for name, t in state.items() if not name.startswith("visual.")}
    with pytest.raises(CheckpointError, match=r"saved\.pt: lacks .*no full CLIP"):
        loaded({"model": text}, tmp_path)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_lone_bias_is_data_and_changes_no_features(state, plain, tmp_path, shape):
    bias = {
        "logit_bias": torch.full(shape, -10.0),
        "logit_scale": state["logit_scale"].reshape(shape),
    }
    clip = loaded({"model": state | bias}, tmp_path)
    assert (clip.logit_bias, plain.logit_bias) == (-10.0, None)
    texts = ["a cat", "a dog"]
    assert torch.equal(clip.encode_texts(texts).features, plain.encode_texts(texts).features)
    cosines = torch.tensor([[0.3, 0.1]])
    scale = state["logit_scale"].exp()
    assert torch.allclose(clip.probabilities(cosines), (cosines * scale - 10).sigmoid())
    assert torch.allclose(plain.probabilities(cosines), (cosines * scale).softmax(-1))


def test_a_bias_is_saved_where_it_has_a_place(tmp_path):
    folder = save_openclip_folder(tmp_path / "tiny", suffix=".bin")
    file = folder / "open_clip_pytorch_model.bin"
    torch.save({**torch.load(file), "logit_bias": torch.tensor(-10.0)}, file)
    clip = load_clip(folder)
    save_clip(clip, tmp_path / "again", layout="openclip")
    again = load_clip(tmp_path / "again")
    assert (again.logit_bias, again.digest) == (-10.0, clip.digest)
    with pytest.raises(CheckpointError, match="logit_bias"):
        save_clip(clip, tmp_path / "hf")
