"""`clipcond.train` with each of its options, on tiny parts."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import DistributedType
from PIL import Image
from safetensors.torch import load_file, save_file

import clipcond
from clipcond.clip import load_clip
from clipcond.clip.training import Options
from clipcond.clip.training.accelerating import check_kind
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.models import locate
from tests.clip.tiny_kinds import save_siglip, unigram
from tests.clip.training.conftest import COLORS

ROOT = Path(__file__).parents[3]


def trained(data, out, begun, **changes):
    told = dict(init=begun, steps=3, batch=6, rate=1e-3, log_steps=1, held_out=0.2, device="cpu")
    return clipcond.train(data, out, **(told | changes))


def moved(one, other):
    """Names of the tensors that differ."""
    ours, theirs = (load_clip(place).model.state_dict() for place in (one, other))
    return {name for name in ours if not torch.equal(ours[name], theirs[name])}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(loss="sigmoid", init="emoji"),
        dict(ema=0.5),
        dict(chunk=2),
        dict(layer_decay=0.7),
        dict(checkpointing=True),
        dict(precision="bfloat16"),
        dict(layout="openclip", init="emoji"),
        dict(crop=1),
        dict(workers=1),
        dict(wise_ft=True),
        dict(lora=2),
        dict(held_out=0),
        dict(steps=None, epochs=1),
        dict(steps=None, minutes=0.005),
        dict(warmup=0, weight_decay=0),
    ],
    ids=lambda changes: "-".join(map(str, changes)) or "plain",
)
def test_every_option_leaves_a_clip_that_loads(pictures, beginning, tmp_path, changes):
    result = trained(pictures, tmp_path / "out", beginning, **changes)
    assert result.finished
    assert result.broken == 0
    clip = load_clip(result.folder)
    assert clip.digest == result.digest
    assert clip.digest != load_clip(locate(changes.get("init", beginning))).digest
    assert (clip.logit_bias is not None) is (changes.get("loss") == "sigmoid")
    assert (result.after is None) is (changes.get("held_out") == 0)
    assert len(result.mixed) == (11 if changes.get("wise_ft") else 0)
    json.dumps(result.as_dict())
    assert str(result.folder) in str(result)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_locked_tower_keeps_its_weights(pictures, beginning, tmp_path, kind):
    trained(pictures, tmp_path / "out", beginning, lock=kind)
    names = moved(beginning, tmp_path / "out")
    own, other = (
        ("text_", ("vision_", "visual_")) if kind == "text" else (("vision_", "visual_"), "text_")
    )
    assert not [name for name in names if name.startswith(own)]
    assert [name for name in names if name.startswith(other)]


def test_adapters_leave_what_they_do_not_adapt(pictures, beginning, tmp_path):
    trained(pictures, tmp_path / "out", beginning, lora=2)
    names = moved(beginning, tmp_path / "out")
    assert all("proj" in name or "fc" in name or name == "logit_scale" for name in names)
    assert any("q_proj" in name for name in names)


@pytest.mark.parametrize("preset", ["tiny", "tiny-resnet"])
def test_from_nothing_what_can_be_learnt_is_learnt(pictures, tmp_path, preset):
    result = clipcond.train(
        pictures, tmp_path / "out", preset=preset, steps=30, batch=16, held_out=0.3, log_steps=5, crop=1, device="cpu"
    )  # fmt: skip
    losses = [row["loss"] for row in result.history if "loss" in row]
    assert losses[-1] < 0.7 * losses[0]
    assert result.before is None
    scorer = clipcond.ClipScorer.from_pretrained(result.folder)
    shown = [Image.new("RGB", (40, 40), color) for color in COLORS]
    found = clipcond.zero_shot(shown, list(COLORS), scorer, templates=["a {} cat"])
    assert (found.argmax(1) == torch.arange(len(COLORS))).float().mean() >= 0.75


def test_the_resnet_is_written_as_openclip_reads_it(pictures, tmp_path):
    with pytest.raises(ClipcondError, match="no place for a ResNet"):
        clipcond.train(pictures, tmp_path / "out", preset="tiny-resnet", steps=1, layout="hf")
    assert not (tmp_path / "out").exists()


def test_a_siglip_goes_on_with_its_own_bias(pictures, tmp_path):
    begun = tmp_path / "siglip"
    save_siglip(begun, unigram())
    result = trained(pictures, tmp_path / "out", begun, loss="sigmoid")
    assert load_clip(result.folder).architecture.kind == "siglip"
    assert {"logit_bias", "logit_scale"} <= moved(begun, result.folder)


def test_the_scale_of_a_siglip_may_be_over_100(pictures, tmp_path):
    begun = tmp_path / "siglip"
    save_siglip(begun, unigram())
    weights = load_file(begun / "model.safetensors")
    weights["logit_scale"].fill_(4.77)  # beyond ln 100
    save_file(weights, begun / "model.safetensors", {"format": "pt"})
    result = trained(pictures, tmp_path / "out", begun, loss="sigmoid", steps=1, warmup=100)
    assert load_clip(result.folder).model.logit_scale.item() == pytest.approx(4.77, abs=0.01)


def test_labels_and_other_data_are_measured_with(pictures, beginning, tmp_path):
    rows = [
        {"image": str(pictures / f"{i:02d}.png"), "caption": [f"a {c} cat", f"a {c} fox"], "kind": c}
        for i, c in enumerate(COLORS)
    ]  # fmt: skip
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = trained(
        pictures, tmp_path / "out", beginning, val=tmp_path / "val.jsonl", label_column="kind"
    )
    assert result.after.pictures == result.after.classes == len(COLORS)
    assert set(result.after.zero_shot) == {1, 5}
    assert result.before is not None
    assert [row["weights"] for row in result.rows()] == ["before", "after"]
    assert "zero_shot_top1" in result.history[-1]


def test_broken_rows_are_counted_and_named(beginning, pictures, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for file in pictures.iterdir():
        (data / file.name).write_bytes(file.read_bytes())
    (data / "03.png").write_bytes((data / "03.png").read_bytes()[:60])
    (data / "05.txt").write_text("  \n")
    result = trained(data, tmp_path / "out", beginning, steps=8, held_out=0)
    assert result.broken == 2
    lines = (tmp_path / "out" / "broken.jsonl").read_text().splitlines()
    named = [json.loads(line) for line in lines]
    assert {row["name"] for row in named} == {"03.png", "05.png"}
    assert any("2 rows" in note for note in result.notes)


def test_captions_that_lose_their_ends_are_counted(beginning, pictures, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for file in sorted(pictures.glob("*.png"))[:4]:
        (data / file.name).write_bytes(file.read_bytes())
        (data / f"{file.stem}.txt").write_text("a cat " * 90)
    result = trained(data, tmp_path / "out", beginning, batch=4, steps=2, held_out=0)
    assert any("8 of 8 captions" in note for note in result.notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(preset="tiny"), "begins with one of the two"),
        (dict(init=None, preset="huge"), "choose one of tiny"),
        (dict(init=None, wise_ft=True), "name those to begin with"),
        (dict(minutes=1), "give one of them"),
        (dict(steps=None, epochs=-1), "epochs: got -1"),
        (dict(rate=float("nan")), "rate: got nan"),
        (dict(loss="triplet"), "loss: got 'triplet'; choose one of infonce, sigmoid"),
        (dict(lock="both"), "choose one of image, text"),
        (dict(lock="text", lora=2), "give one of the two"),
        (dict(ema=1.0), "ema: got 1"),
        (dict(crop=0), "crop: got 0"),
        (dict(held_out=1.5), "held_out: got 1.5"),
        (dict(batch=0), "batch: got 0"),
        (dict(chunk=0), "chunk: got 0"),
        (dict(layout="onnx"), "choose one of hf, openclip"),
        (dict(precision="int8"), "choose one of float32, bfloat16"),
        (dict(trackers=("abacus",)), "abacus"),
        (dict(device="cuda:7"), "cuda:7"),
        (dict(save_steps=0), "got 0; needs over 0"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    pictures, beginning, tmp_path, changes, message
):
    with pytest.raises(ClipcondError, match=message):
        trained(pictures, tmp_path / "out", beginning, **changes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM", "TP"])
def test_sharded_weights_are_refused(kind):
    with pytest.raises(ClipcondError, match=rf"{kind}, which shards.*by DDP"):
        check_kind(kind)


def test_processes_with_whole_weights_are_not():
    for kind in ("NO", "MULTI_GPU", "MULTI_CPU"):
        assert DistributedType(kind)
        check_kind(kind)


def test_an_unknown_option_is_a_type_error(pictures, tmp_path):
    with pytest.raises(TypeError, match="learning_rate"):
        clipcond.train(pictures, tmp_path / "out", learning_rate=1)


def test_a_layout_that_cannot_say_what_it_is_is_refused_before_the_training(
    pictures, beginning, tmp_path
):
    with pytest.raises(CheckpointError, match=r"nothing that open_clip_config\.json can say"):
        trained(pictures, tmp_path / "out", beginning, loss="sigmoid")
    assert not (tmp_path / "out").exists()


def test_the_default_options_are_the_command_lines(tmp_path):
    from dataclasses import fields

    from clipcond.cli.arguments import unpack
    from clipcond.cli.main import _VERBS, build_parser
    from clipcond.cli.training import keywords

    typed = unpack(_VERBS["train"][0], build_parser().parse_args(["train", "data", "--out", "out"]))
    assert keywords(typed) == {field.name: field.default for field in fields(Options)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_with_a_checkpoint(pictures, beginning, tmp_path, number):
    """The child sends it to itself when the third line of its log is there."""
    script = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "log = Path(sys.argv[3]) / 'log.jsonl'\n"
        "def watch():\n"
        "    while not log.exists() or len(log.read_text().splitlines()) < 3: pass\n"
        "    os.kill(os.getpid(), int(sys.argv[4]))\n"
        "threading.Thread(target=watch, daemon=True).start()\n"
        "from clipcond.cli import main\n"
        "sys.exit(main(['train', sys.argv[1], '--init', sys.argv[2], '--out', sys.argv[3], '--steps', '100000', '--batch', '6',"
        " '--log-steps', '1', '--held-out', '0', '--device', 'cpu']))\n"
    )
    line = [sys.executable, "-c", script, pictures, beginning, tmp_path / "out", str(int(number))]
    found = subprocess.run(
        line, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, timeout=120
    )  # fmt: skip
    assert found.returncode == 130, found.stderr
    assert "--resume" in found.stderr
    (kept,) = (tmp_path / "out" / "checkpoints").iterdir()
    assert int(kept.name.removeprefix("step-")) >= 3
    assert not (tmp_path / "out" / "config.json").exists()
