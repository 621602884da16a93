"""`clipcond train` at the terminal: exit codes, lines, JSON, and a disk that is full."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipcond.cli import main
from clipcond.clip import load_clip
from tests.clip.training.conftest import beginning, pictures

__all__ = ["beginning", "pictures"]  # fixtures

ROOT = Path(__file__).parents[2]
BRIEF = ("--steps", "3", "--batch", "6", "--held-out", "0.2", "--device", "cpu")


def test_a_training_says_how_good_it_is(pictures, beginning, tmp_path, capsys):
    out = tmp_path / "out"
    line = ["train", str(pictures), "--init", str(beginning), "--out", str(out), *BRIEF]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "before" in said.out
    assert "text to image R@1" in said.out
    assert "my-clip" not in said.err
    assert main(["classify", str(pictures / "00.png"), "--classes", "cat,dog", "--scorer", str(out)]) == 0  # fmt: skip


def test_json_is_the_result(pictures, beginning, tmp_path, capsys):
    out = tmp_path / "out"
    line = ["train", str(pictures), "--init", str(beginning), "--out", str(out), *BRIEF, "--json"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["digest"] == load_clip(out).digest
    assert found["finished"]
    assert found["steps"] == 3
    assert found["after"]["pictures"] == found["before"]["pictures"]


def test_broken_rows_exit_with_1_and_are_told(pictures, beginning, tmp_path, capsys):
    table = tmp_path / "pairs.jsonl"
    rows = [{"image": str(pictures / f"{i:02d}.png"), "caption": "a cat"} for i in range(8)]
    rows.append({"image": "gone.png", "caption": "a dog"})
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    line = ["train", str(table), "--init", str(beginning), "--out", str(out), *BRIEF]
    assert main([*line, "--held-out", "0"]) == 1
    said = capsys.readouterr().err
    assert "1 row could not be read" in said
    assert "gone.png" in said
    assert str(out / "broken.jsonl") in said.replace("\n", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["{data}", "--preset", "huge"], "preset: got 'huge'"),
        (["{data}", "--init", "nowhere/at-all.pt"], "no such file"),
        (["{data}", "--caption-column", "text"], "folder of pictures"),
        (["{data}", "--steps", "0"], "needs at least 1"),
        (["{data}", "--loss", "triplet"], "invalid choice"),
        (["{data}", "--device", "tpu"], "tpu"),
        (["{data}", "--preset", "ViT-B/32"], "tokenizer"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line(pictures, tmp_path, capsys, line, said):
    typed = [word.format(data=pictures) for word in line]
    try:
        code = main(["train", *typed, "--out", str(tmp_path / "out")])
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err.strip()
    assert code == 2, error
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


_FULL = """
import resource, sys, threading
from pathlib import Path
data, init, out = sys.argv[1:]
from clipcond.cli import main
kept = Path(out) / "checkpoints" / "step-000000002"
def fill():
    while not kept.exists(): pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
threading.Thread(target=fill, daemon=True).start()
sys.exit(main(["train", data, "--init", init, "--out", out, "--steps", "40", "--batch", "6", "--held-out", "0", "--save-steps", "2",
               "--log-steps", "1", "--device", "cpu"]))
"""


def test_a_disk_that_is_full_costs_no_step_and_no_checkpoint(pictures, beginning, tmp_path):
    """From the second step on, no file may grow over 20 kB, as a quota has it."""
    out = tmp_path / "out"
    line = [sys.executable, "-c", _FULL, pictures, beginning, out]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 2
    assert "no checkpoint at step" in found.stderr
    assert "training goes on" in found.stderr
    assert found.stderr.strip().splitlines()[-1].startswith("clipcond: ")
    assert "Traceback" not in found.stderr
    kept = [folder.name for folder in (out / "checkpoints").iterdir()]
    assert "step-000000002" in kept
    assert not (out / "config.json").exists()
    told = ["--steps", "40", "--batch", "6", "--held-out", "0", "--device", "cpu", "--resume"]
    assert main(["train", str(pictures), "--init", str(beginning), "--out", str(out), *told]) == 0
    whole = ["train", str(pictures), "--init", str(beginning), "--out", str(tmp_path / "whole")]
    assert main([*whole, *told]) == 0
    assert load_clip(out).digest == load_clip(tmp_path / "whole").digest


def test_of_processes_launched_together_one_speaks(pictures, beginning, tmp_path):
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "clipcond", "train"]  # fmt: skip
    typed = [pictures, "--init", beginning, "--out", tmp_path / "out", *BRIEF, "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    found = subprocess.run(
        [*line, *typed], capture_output=True, text=True, env=environment, check=True
    )
    (said,) = [each for each in found.stdout.splitlines() if each.startswith("{")]
    assert json.loads(said)["finished"]
    assert json.loads((tmp_path / "out" / "training.json").read_text())["processes"] == 2
