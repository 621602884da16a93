"""Checkpoint files that are damaged, or mean harm: one line that names the file, and nothing run."""

import builtins
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from clipcond.cli import main
from clipcond.clip import load_clip
from clipcond.errors import CheckpointError
from tests.clip.layouts import save_openclip_folder
from tests.clip.openai_model import openai_clip, save_archive
from tests.tiny import clip_tokenizer, save_tiny_clip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return save_archive(openai_clip(), tmp_path_factory.mktemp("openai") / "ViT.pt")


@pytest.fixture(scope="module")
def state():
    return openai_clip().state_dict()


def refused(source, *quotes):
    with pytest.raises(CheckpointError) as caught:
        load_clip(source, tokenizer=clip_tokenizer())
    message = str(caught.value)
    assert "\n" not in message
    for quote in quotes:
        assert quote in message, message
    return message


class Runs:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def zipped(program, file, *, like=None, **entries):
    """A torch archive with another pickle in it: `like` an existing one, or bare."""
    with zipfile.ZipFile(file, "w") as written:
        if like is not None:
            with zipfile.ZipFile(like) as source:
                for name in source.namelist():
                    if not name.endswith("/data.pkl"):
                        written.writestr(name, source.read(name))
                root = source.namelist()[0].split("/")[0]
        else:
            root = "archive"
        written.writestr(f"{root}/data.pkl", program)
        for name, data in entries.items():
            written.writestr(f"{root}/data/{name.strip('_')}", data)
    return file


CALLS = {
    "os.system": (os.system, "touch {}"),
    "eval": (eval, "open('{}', 'w')"),
    "open": (builtins.open, "{}", "w"),
    "torch.load": (torch.load, "{}"),
    "np.load": (np.load, "{}"),
}


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pth"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", CALLS)
def test_a_pickle_that_would_run_code_does_not(tmp_path, suffix, protocol, call):
    sign = tmp_path / "pwned"
    function, *arguments = CALLS[call]
    hostile = Runs(function, *(str(a).format(sign) for a in arguments))
    program = pickle.dumps({"visual.proj": hostile}, protocol=protocol)
    bare = tmp_path / f"bare{suffix}"
    bare.write_bytes(program)
    refused(bare, bare.name, "never opened")
    packed = zipped(program, tmp_path / f"packed{suffix}")
    refused(packed, packed.name, function.__name__, "nothing was run")
    assert not sign.exists()


@pytest.mark.parametrize("call", CALLS)
def test_nor_does_one_beside_the_weights(state, tmp_path, call):
    sign = tmp_path / "pwned"
    function, *arguments = CALLS[call]
    hostile = Runs(function, *(str(a).format(sign) for a in arguments))
    file = tmp_path / "saved.pt"
    torch.save({"state_dict": state, "args": {"nested": [hostile]}}, file)
    refused(file, "saved.pt", function.__name__, "save the state dict alone")
    assert not sign.exists()


def test_nor_does_one_in_a_torchscript_archive_or_an_openclip_folder(archive, tmp_path):
    sign = tmp_path / "pwned"
    program = pickle.dumps(Runs(os.system, f"touch {sign}"))
    refused(zipped(program, tmp_path / "script.pt", like=archive), "script.pt", "system")
    folder = save_openclip_folder(tmp_path / "folder", suffix=".bin")
    zipped(program, folder / "open_clip_pytorch_model.bin")
    refused(folder, "open_clip_pytorch_model.bin", "system")
    assert not sign.exists()


def test_nor_does_a_state_dict_that_torch_itself_saved(tmp_path):
    sign = tmp_path / "pwned"
    file = tmp_path / "saved.pt"
    torch.save({"state_dict": {"visual.proj": Runs(os.system, f"touch {sign}")}}, file)
    refused(file, "saved.pt", "system")
    assert not sign.exists()


def test_what_the_unpickler_lends_cannot_be_written_to(tmp_path):
    """BUILD sets attributes on whatever is on the stack, here on the classes that stand in for torch's."""
    program = (
        b"\x80\x02c__torch__\nEvil\n}X\x05\x00\x00\x00stateK\x01s\x86b"  # BUILD on the class itself
        b"c__torch__\nEvil\n)\x81}X\x01\x00\x00\x00aK\x01sb."
    )
    refused(zipped(program, tmp_path / "evil.pt"), "evil.pt")
    from clipcond.clip.checkpoints import archive

    assert vars(archive._Module).keys() <= {
        "__module__", "__doc__", "__setstate__", "__dict__", "__weakref__", "__firstlineno__",
        "__static_attributes__",
    }  # fmt: skip


def rebuild_program(storage, size, stride, offset=0):
    """The pickle of {"x": tensor} with any geometry on the stored numbers of data/0."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", storage) if value is None else None

    written = io.BytesIO()
    call = Runs(torch._utils._rebuild_tensor_v2, None, offset, size, stride, False, {})
    Pickler(written, protocol=2).dump({"x": call})
    return written.getvalue()


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((1 << 40,), (0,), 0),  # terabytes of one number
        ((5,), (1,), 0),
        ((2, 2), (1 << 40, 1), 0),
        ((4,), (1,), 1 << 40),
        ((4,), (1,), -1),
        ((-4,), (1,), 0),
        ((2, 2), (-2, 1), 0),
        (("a",), (1,), 0),
        (3, 1, 0),
    ],
)
def test_tensors_beyond_their_storage_are_refused(tmp_path, size, stride, offset):
    program = rebuild_program(4, size, stride, offset)
    file = zipped(program, tmp_path / "geometry.pt", _0=np.zeros(4, np.float32).tobytes())
    refused(file, "geometry.pt", "not a readable torch archive")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    file = tmp_path / "bomb.pt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("archive/data.pkl", rebuild_program(1 << 24, (1 << 24,), (1,)))
        written.writestr("archive/data/0", b"\0" * (1 << 26))
    assert file.stat().st_size < 1 << 17
    refused(file, "bomb.pt", "larger than the whole")


def test_a_memo_that_would_fill_the_memory_is_refused(tmp_path):
    for program in (b"\x80\x02Nr\xff\xff\xff\x7f.", b"Np99999999999\n."):  # LONG_BINPUT, PUT
        refused(zipped(program, tmp_path / "memo.pt"), "memo.pt", "remembers")


def test_containers_within_containers_do_not_explode(tmp_path):
    laughs = {"x": torch.zeros(1)}
    for _ in range(28):
        laughs = {"a": laughs, "b": laughs}
    torch.save(laughs, tmp_path / "laughs.pt")
    refused(tmp_path / "laughs.pt", "laughs.pt")
    loop = {}
    loop["again"] = loop
    torch.save(loop, tmp_path / "loop.pt")
    refused(tmp_path / "loop.pt", "loop.pt", "no tensors")
    deep = []
    for _ in range(300):
        deep = [deep]
    torch.save({"x": deep}, tmp_path / "deep.pt")
    refused(tmp_path / "deep.pt", "deep.pt", "no tensors")


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_in_the_pickle_is_an_error_or_harmless(archive, tmp_path, data):
    with zipfile.ZipFile(archive) as source:
        name = next(n for n in source.namelist() if n.endswith("/data.pkl"))
        program = bytearray(source.read(name))
    at = data.draw(st.integers(0, len(program) - 1))
    program[at] = data.draw(st.integers(0, 255))
    file = zipped(bytes(program), tmp_path / "flipped.pt", like=archive)
    message = "flipped.pt"
    try:
        load_clip(file, tokenizer=clip_tokenizer())
    except CheckpointError as error:
        message = str(error)
    assert "flipped.pt" in message
    assert "\n" not in message


@pytest.mark.parametrize("damage", ["empty", "half", "tail", "noise", "text"])
@pytest.mark.parametrize("suffix", [".pt", ".bin", ".safetensors"])
def test_damaged_files_are_named(archive, tmp_path, damage, suffix):
    if suffix == ".safetensors":
        folder = save_openclip_folder(tmp_path / "folder")
        content = (folder / "open_clip_model.safetensors").read_bytes()
    else:
        content = archive.read_bytes()
    damaged = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "tail": content[len(content) // 2 :],
        "noise": np.random.default_rng(0).bytes(5000),
        "text": b"version https://git-lfs.github.com/spec/v1\n",
    }[damage]
    file = tmp_path / f"damaged{suffix}"
    file.write_bytes(damaged)
    refused(file, file.name)


def test_big_endian_archives_are_refused(archive, tmp_path):
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "big.pt", "w") as written:
        for name in source.namelist():
            data = b"big" if name.endswith("byteorder") else source.read(name)
            written.writestr(name, data)
    refused(tmp_path / "big.pt", "big.pt", "big-endian")


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "empty: holds no config.json", "open_clip_config.json")
    refused(tmp_path / "missing.pt", "missing.pt: no such file")
    refused("nobody/missing.safetensors", "missing.safetensors: no such file")
    torch.save({}, tmp_path / "nothing.pt")
    refused(tmp_path / "nothing.pt", "nothing.pt", "no tensors")
    torch.save([1, 2], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "list.pt", "list")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_named(state, tmp_path, value, dtype):
    broken = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    broken["transformer.resblocks.1.mlp.c_fc.bias"][7] = value
    torch.save(broken, tmp_path / "broken.bin")
    refused(
        tmp_path / "broken.bin",
        "broken.bin",
        "transformer.resblocks.1.mlp.c_fc.bias",
        "NaN or infinity",
    )


def test_and_in_a_transformers_folder(tmp_path):
    folder = save_tiny_clip(tmp_path / "tiny")
    tensors = load_file(folder / "model.safetensors")
    tensors["visual_projection.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "model.safetensors", "visual_projection.weight", "NaN")
    tensors["visual_projection.weight"] = torch.zeros(32, 32, dtype=torch.int8)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "model.safetensors", "visual_projection.weight is int8", "quantised")
    tensors["visual_projection.weight"] = torch.zeros(32, 32)
    tensors["vision_model.head.weight"] = torch.zeros(3)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "model.safetensors", "vision_model.head.weight", "no place")


@pytest.mark.parametrize("vision", ["vit", "resnet"])
@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("text_projection", "text_projection"),
        ("token_embedding.weight", "token_embedding.weight"),
        ("ln_final.bias", "ln_final.bias"),
        ("logit_scale", "logit_scale"),
        ("transformer.", "transformer.resblocks.0.mlp.c_fc.weight"),
        ("transformer.resblocks.0.attn", "lacks 4"),
        ("transformer.resblocks.0.attn.in_proj_bias", "transformer.resblocks.0.attn.in_proj_bias"),
    ],
)
def test_missing_tensors_are_listed_by_the_files_own_names(vision, missing, named, tmp_path):
    state = openai_clip(vision).state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith(missing)}
    torch.save(kept, tmp_path / "cut.pt")
    refused(tmp_path / "cut.pt", "cut.pt", "lacks", "no full CLIP", named)


@pytest.mark.parametrize(
    "missing", ["visual.layer2.1.conv2.weight", "visual.attnpool.c_proj.bias", "visual.bn1.weight"]
)
def test_missing_resnet_tensors_are_listed(missing, tmp_path):
    state = openai_clip("resnet").state_dict()
    del state[missing]
    torch.save(state, tmp_path / "cut.pt")
    refused(tmp_path / "cut.pt", "cut.pt", missing, "lacks 1")


def test_other_shapes_and_strangers_are_named(state, tmp_path):
    changes = {
        "visual.positional_embedding": torch.zeros(18, 128),
        "visual.conv1.weight": torch.zeros(128, 3),
        "token_embedding.weight": torch.zeros(0, 128),
        "transformer.resblocks.0.ln_1.weight": torch.zeros(5),
        "visual.trunk.stem.weight": torch.zeros(5),
        "text.cls_emb": torch.zeros(5),
        "logit_bias": torch.zeros(2),
    }
    for name, tensor in changes.items():
        torch.save({**state, name: tensor}, tmp_path / "odd.pt")
        refused(tmp_path / "odd.pt", "odd.pt")


def test_another_kind_of_model_is_refused(tmp_path):
    torch.save({f"layer{i}.weight": torch.zeros(2) for i in range(9)}, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", "other.pt", "layer0.weight", "and 4 more")


def test_the_command_line_says_so_in_one_line(archive, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    evil = zipped(pickle.dumps(Runs(os.system, "true")), tmp_path / "evil.pt", like=archive)
    command = ["score", str(tmp_path / "p.png"), "--prompt", "a cat", "--scorer", str(evil)]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "evil.pt" in err


def test_the_command_line_scores_with_a_file(archive, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    scorer = tmp_path / "ViT.pt"
    scorer.write_bytes(archive.read_bytes())
    clip_tokenizer().save_pretrained(tmp_path)
    command = ["score", str(tmp_path / "p.png"), "--prompt", "a cat", "--scorer", str(scorer)]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "p.png" in out
    assert "taken to have" not in err
    state = openai_clip().state_dict()
    del state["vocab_size"]  # and with it the sign of OpenAI's own archives
    torch.save(state, scorer)
    assert main(command) == 0
    assert "taken to have GELU" in capsys.readouterr().err
