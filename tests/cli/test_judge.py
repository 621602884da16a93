"""score and rerank: all, some or none of the files, and the exit code that says which."""

import json

import numpy as np
import pytest
from PIL import Image

from clipcond.cli import main
from clipcond.score import ClipScorer


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_score_equals_the_library(files, model, capsys):
    paths = [str(files / f"{i}.png") for i in range(3)]
    assert main(["score", *paths, "--prompt", "a cat", "--scorer", str(model), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    own = ClipScorer.from_pretrained(model).score(paths, "a cat")
    assert [p["score"] for p in result["pictures"]] == pytest.approx(own.values.tolist(), abs=1e-6)
    assert result["mean"] == pytest.approx(own.mean())
    assert result["truncated"] is False


def test_files_that_fail_are_named_and_the_rest_done(files, model, capsys):
    (files / "bad.png").write_bytes(b"no picture")
    paths = [str(files / "0.png"), str(files / "bad.png"), str(files / "none.png")]
    assert main(["score", *paths, "--prompt", "a cat", "--scorer", str(model)]) == 1
    out, err = capsys.readouterr()
    assert "0.png" in out
    assert "bad.png: not a picture" in err
    assert "none.png: no such picture file" in err


def test_nothing_scored_is_exit_code_2(files, model, capsys):
    assert (
        main(["score", str(files / "none.png"), "--prompt", "a cat", "--scorer", str(model)]) == 2
    )
    assert "none of the 1 files" in capsys.readouterr().err


def test_a_cut_prompt_is_told(files, model, capsys):
    command = [
        "score",
        str(files / "0.png"),
        "--prompt",
        "cat " * 10_000,
        "--scorer",
        str(model),
        "--json",
    ]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["truncated"] is True
    assert "77 tokens" in err


def test_rerank_sorts_the_folder_and_skips_our_grids(files, model, capsys):
    Image.new("RGB", (40, 40)).save(files / "0001-grid.png")
    (files / "notes.txt").write_text("no picture")
    assert (
        main(
            [
                "rerank",
                str(files),
                "--prompt",
                "a cat",
                "--top",
                "2",
                "--scorer",
                str(model),
                "--json",
            ]
        )
        == 0
    )
    shown = json.loads(capsys.readouterr().out)["pictures"]
    scores = ClipScorer.from_pretrained(model).score(sorted(files.glob("?.png")), "a cat").values
    best = scores.argsort(descending=True, stable=True)[:2].tolist()
    assert [p["file"] for p in shown] == [str(files / f"{i}.png") for i in best]


def test_rerank_of_a_partly_damaged_folder(files, model, capsys):
    (files / "bad.png").write_bytes(b"")
    assert main(["rerank", str(files), "--prompt", "a cat", "--scorer", str(model)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert "bad.png" in err


@pytest.mark.parametrize(
    ("arguments", "quote"),
    [
        (["--top", "9"], "top_k: got 9"),
        (["--scorer", "no/where"], "no/where"),
    ],
)
def test_rerank_complaints(files, model, capsys, arguments, quote):
    assert main(["rerank", str(files), "--prompt", "x", "--scorer", str(model), *arguments]) == 2
    err = capsys.readouterr().err
    assert quote in err
    assert len(err.splitlines()) == 1


def test_folders_without_pictures(tmp_path, model, capsys):
    for folder in (tmp_path, tmp_path / "none"):
        assert main(["rerank", str(folder), "--prompt", "x", "--scorer", str(model)]) == 2
        assert str(folder) in capsys.readouterr().err


def test_unknown_variant(files, model, capsys):
    assert main(["score", str(files / "0.png"), "--prompt", "x", "--variant", "fid"]) == 2
    assert "'fid'" in capsys.readouterr().err
