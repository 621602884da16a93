"""Textual inversions as people have them in files, and what is said of files that are none."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from clipcond import Conditioner, TextualInversion
from clipcond.errors import CheckpointError, ClipcondError
from tests import doubles as tiny

OWN = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
SD1 = tiny.sd1()


def parameters(tensor):
    return nn.ParameterDict({"*": nn.Parameter(tensor)})


def of_torch_1(tensor):
    """As torch 1 pickled it: without the names that torch 2 keeps beside the parameters."""
    found = parameters(tensor)
    del found.__dict__["_keys"]
    return found


def in_list(tensor):
    return nn.ParameterList([nn.Parameter(tensor)])


def a1111(held):
    return {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": held, "name": "fern"}


HELD = {
    "parameter dict": (a1111(parameters(OWN)), ("fern", "moss")),
    "parameter dict of torch 1": (a1111(of_torch_1(OWN)), ("fern", "moss")),
    "parameter list": (a1111(in_list(OWN)), ("fern", "moss")),
    "without a name": ({"string_to_param": parameters(OWN), "name": None}, ("moss",)),
    "only the placeholder": ({"*": OWN}, ("moss",)),
    "one word": ({"fern": nn.Parameter(OWN)}, ("fern", "moss")),
    "the same word": ({"MOSS": OWN}, ("MOSS",)),
    "beside numbers": ({"fern": OWN, "step": 10, "sd_checkpoint": "x"}, ("fern", "moss")),
    "container": (parameters(OWN), ("moss",)),
    "tensor": (OWN, ("moss",)),
    "wrapped": ({"state_dict": {"emb_params": OWN}, "step": 3}, ("moss",)),
    "under its word": ({"fern": {"clip_l": OWN}}, ("fern", "moss")),
    "for Stable Diffusion 2": ({"clip_h": OWN}, ("moss",)),
    "with those of T5": ({"clip_l": OWN, "t5xxl": torch.zeros(2, 8)}, ("moss",)),
    "sparse": ({"fern": OWN.to_sparse()}, ("fern", "moss")),
    "double": ({"fern": OWN.double()}, ("fern", "moss")),
}


@pytest.mark.parametrize("held", HELD)
def test_pickled_files(held, tmp_path):
    state, names = HELD[held]
    torch.save(state, tmp_path / "moss.pt")
    found = TextualInversion.load(tmp_path / "moss.pt")
    assert found.names == names
    assert found.token == names[0]
    rows = found.vectors_for("text_encoder", 32)
    assert rows.dtype == torch.float32
    assert torch.equal(rows, OWN)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_a_single_vector(dtype, tmp_path):
    save_file({"fern": OWN[0].to(dtype)}, tmp_path / "moss.safetensors")
    rows = TextualInversion.load(tmp_path / "moss.safetensors").vectors_for("text_encoder", 32)
    assert torch.equal(rows, OWN[:1].to(dtype).float())


def test_the_word_in_the_file_and_the_files_name_both_stand_for_it(tmp_path):
    torch.save(a1111({"*": OWN}), tmp_path / "moss.pt")
    save_file({"<oak>": OWN[:1]}, tmp_path / "leaf.safetensors")
    conditioner = Conditioner.from_pipeline(SD1).with_inversions(
        tmp_path / "moss.pt", tmp_path / "leaf.safetensors"
    )
    given = TextualInversion("moss", {"": OWN}), TextualInversion("leaf", {"": OWN[:1]})
    right = Conditioner.from_pipeline(SD1).with_inversions(*given)("a moss red leaf").prompt_embeds
    for prompt in ("a moss red leaf", "a FERN red <oak>", "a embedding:fern red embedding:leaf"):
        assert torch.equal(conditioner(prompt).prompt_embeds, right)
    only = TextualInversion.load(tmp_path / "moss.pt", token="oak")
    assert only.names == ("oak",)


def test_inversions_that_are_added_later_keep_their_vectors(tmp_path):
    torch.save(a1111({"*": OWN}), tmp_path / "moss.pt")
    leaf = TextualInversion("leaf", {"": OWN[:1]})
    plain = Conditioner.from_pipeline(SD1)
    ours = plain.with_inversions(tmp_path / "moss.pt").with_inversions(leaf)
    right = plain.with_inversions(leaf)
    assert torch.equal(ours("a leaf").prompt_embeds, right("a leaf").prompt_embeds)


def test_two_files_of_one_word_are_an_error_with_the_repair(tmp_path):
    for name in ("moss", "leaf"):
        torch.save(a1111({"*": OWN}), tmp_path / f"{name}.pt")
    with pytest.raises(ClipcondError, match=r"'fern' is there twice.*token="):
        Conditioner.from_pipeline(SD1).with_inversions(tmp_path / "moss.pt", tmp_path / "leaf.pt")


LORA = {
    "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": OWN,
    "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": OWN,
}


def bundled(*words):
    found = {f"bundle_emb.{word}.string_to_param.*": OWN.clone() for word in words}
    return {key: value.clone() for key, value in LORA.items()} | found


def test_an_inversion_that_a_lora_brings_along(tmp_path):
    save_file(bundled("fern"), tmp_path / "style.safetensors")
    assert TextualInversion.load(tmp_path / "style.safetensors").names == ("fern",)
    save_file(bundled("fern", "v1.moss"), tmp_path / "styles.safetensors")
    with pytest.raises(
        CheckpointError, match=r"is a LoRA that brings.*: fern, v1\.moss; say which"
    ):
        TextualInversion.load(tmp_path / "styles.safetensors")
    found = TextualInversion.load(tmp_path / "styles.safetensors", token="v1.moss")
    assert found.names == ("v1.moss",)
    assert torch.equal(found.vectors_for("text_encoder", 32), OWN)
    both = {f"bundle_emb.fern.{kind}": OWN.clone() for kind in ("clip_l", "clip_g")}
    save_file(both, tmp_path / "xl.safetensors")
    assert set(TextualInversion.load(tmp_path / "xl.safetensors").vectors) == {"clip_l", "clip_g"}


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


NESTED = OWN
for _ in range(100):
    NESTED = {"fern": NESTED}

WRONG = {
    "is a LoRA, no textual inversion; load it with pipe.load_lora_weights": LORA,
    r"asks for \S*print, which no vectors need; nothing was run": {"fern": Evil()},
    r"asks for torch.nn.modules.linear.Linear": {"fern": nn.Linear(2, 2)},
    "holds no vectors": {},
    r"needs vectors, numbers of \[vectors, width\], but holds torch.int64 \[2\]": {
        "fern": torch.tensor([1, 2])
    },
    r"holds torch.float32 \[1, 2, 32\]": {"fern": OWN[None]},
    r"holds torch.float32 \[0, 32\]": {"fern": OWN[:0]},
    r"holds torch.float32 \[\]": {"emb_params": OWN[0, 0]},
    r"holds torch.float32 \[1000000, 1000000\]": {"fern": OWN[0, 0].expand(10**6, 10**6)},
    "values of nan or inf": {"fern": OWN / 0},
    "holds a list": [OWN],
    "holds a dict": NESTED,
    "holds fern, oak; it needs": {"string_to_param": {"fern": OWN, "oak": OWN}},
    r"holds 0, 1, 2, 3, 4, \.\.\.": {str(n): OWN for n in range(9)},
    "vectors are for t5xxl; only CLIP's": {"t5xxl": OWN},
    "but 2 for clip_l and 1 for clip_g": {"clip_l": OWN, "clip_g": OWN[:1]},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_no_inversion_is_named_for_what_it_is(message, tmp_path, capsys):
    torch.save(WRONG[message], tmp_path / "moss.pt")
    with pytest.raises(CheckpointError, match=rf"moss\.pt.*{message}") as caught:
        TextualInversion.load(tmp_path / "moss.pt")
    said = str(caught.value)
    assert said.isprintable()  # one line, no colours
    assert "weights_only" not in said
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["moss.pt", "moss.bin", "moss.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"hello world", None, "cut"])
def test_damaged_files_are_told_in_our_own_words(name, content, tmp_path):
    path = tmp_path / name
    if content == "cut":
        save_file({"fern": OWN}, path) if path.suffix == ".safetensors" else torch.save(OWN, path)
        content = path.read_bytes()[:-50]
    if content is not None:
        path.write_bytes(content)
    expected = "there is no such file" if content is None else "it is damaged, or no "
    with pytest.raises(CheckpointError, match=expected) as caught:
        TextualInversion.load(path)
    assert str(caught.value).isprintable()


def test_what_torch_may_unpickle_elsewhere_stays_as_it_was(tmp_path):
    torch.save(a1111(parameters(OWN)), tmp_path / "moss.pt")
    for own in ([], [nn.ParameterDict]):
        with torch.serialization.safe_globals(own):
            before = set(torch.serialization.get_safe_globals())
            TextualInversion.load(tmp_path / "moss.pt")
            assert set(torch.serialization.get_safe_globals()) == before
