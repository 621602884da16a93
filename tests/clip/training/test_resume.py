"""A training that is killed ends as one that was not, to the bit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import clipcond
from clipcond.clip.training import train
from clipcond.clip.training.journal import read_log
from clipcond.errors import CheckpointError, ClipcondError

ROOT = Path(__file__).parents[3]


def killed(data, init, out, *, kills, seed=0, processes=1):
    """(how often it was killed, the digest of the CLIP)."""
    line = [sys.executable, "-W", "ignore", "-m", "tests.clip.training.killing"]
    found = subprocess.run(
        [*line, data, init, out, str(kills), str(seed), str(processes)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout.splitlines()[-1])
    return result["killed"], result["digest"]


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "kills"), [(1, 20), (2, 8)])
def test_killed_at_random_moments(pictures, beginning, tmp_path, processes, kills):
    """Checkpoints are written at every step, so that many of the moments are in the middle of one."""
    _, whole = killed(pictures, beginning, tmp_path / "whole", kills=0, processes=processes)
    times, digest = killed(
        pictures, beginning, tmp_path / "killed", kills=kills, seed=1, processes=processes
    )
    assert times == kills
    assert digest == whole
    logs = [
        [{k: v for k, v in row.items() if k not in ("minutes", "pictures_per_second")} for row in read_log(tmp_path / name)]
        for name in ("whole", "killed")
    ]  # fmt: skip
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_two_processes_train_what_one_does(pictures, beginning, tmp_path):
    """Features, not weights: a bias of keys has no gradient but rounding's, of which Adam makes whole steps."""
    shown = [Image.open(file) for file in sorted(pictures.glob("*.png"))]
    features = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        killed(pictures, beginning, out, kills=0, processes=processes)
        features.append(
            clipcond.ClipScorer.from_pretrained(out).similarity(shown, ["a red cat", "a pink dog"])
        )
    before = clipcond.ClipScorer.from_pretrained(beginning).similarity(
        shown, ["a red cat", "a pink dog"]
    )
    assert (features[0] - features[1]).abs().max() < 1e-3
    assert (features[0] - before).abs().max() > 0.05


def brief(data, init, out, **changes):
    return train(
        data,
        out,
        **(
            dict(init=init, steps=4, batch=6, rate=1e-3, save_steps=1, log_steps=1, held_out=0.2, device="cpu")
            | changes
        ),
    )  # fmt: skip


def test_a_torn_checkpoint_is_not_gone_on_from(pictures, beginning, tmp_path):
    whole = brief(pictures, beginning, tmp_path / "whole")
    torn = tmp_path / "torn"
    shutil.copytree(tmp_path / "whole", torn)
    # as if the process had died in the second checkpoint, and in taking the first one away
    newest = torn / "checkpoints" / "step-000000004"
    newest.rename(torn / "checkpoints" / ".partial")
    (torn / "checkpoints" / ".partial" / "optimizer.bin").write_bytes(b"half")
    (torn / "checkpoints" / "step-000000002").rename(torn / "checkpoints" / ".gone-step-000000002")
    (torn / "log.jsonl").write_text((torn / "log.jsonl").read_text() + '{"step": 9, "lo')
    again = brief(pictures, beginning, torn, resume=True)
    assert again.digest == whole.digest
    assert [row["step"] for row in again.history] == [row["step"] for row in whole.history]


def test_a_damaged_checkpoint_is_named(pictures, beginning, tmp_path):
    brief(pictures, beginning, tmp_path / "out", steps=2)
    newest = tmp_path / "out" / "checkpoints" / "step-000000002"
    (newest / "model.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"step-000000002.*delete it"):
        brief(pictures, beginning, tmp_path / "out", steps=2, resume=True)


def test_resume_where_nothing_is_begins(pictures, beginning, tmp_path):
    assert brief(pictures, beginning, tmp_path / "new", resume=True).steps == 4


def test_a_finished_training_is_written_again(pictures, beginning, tmp_path):
    first = brief(pictures, beginning, tmp_path / "out")
    (tmp_path / "out" / "model.safetensors").unlink()
    again = brief(pictures, beginning, tmp_path / "out", resume=True)
    assert again.digest == first.digest
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_folder_of_another_training_is_refused(pictures, beginning, tmp_path):
    brief(pictures, beginning, tmp_path / "out")
    with pytest.raises(ClipcondError, match="got to step 4; go on with it with --resume"):
        brief(pictures, beginning, tmp_path / "out")
    with pytest.raises(ClipcondError, match=r"rate: 0\.001 before, 0\.01 now"):
        brief(pictures, beginning, tmp_path / "out", rate=0.01, resume=True)


def test_a_folder_with_other_files_is_refused(pictures, beginning, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ClipcondError, match="holds files, and no training"):
        brief(pictures, beginning, tmp_path, resume=True)
    assert [file.name for file in tmp_path.iterdir() if file.name != ".lock"] == ["mine.txt"]


def test_a_folder_that_another_process_trains_in_is_refused(pictures, beginning, tmp_path):
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(ClipcondError, match="another process"),
    ):
        brief(pictures, beginning, tmp_path / "out")
