"""classify: the library's answers, tables where the truth is known, and a classifier that is saved and used again."""

import csv
import json

import pytest
from PIL import Image

from clipcond import emoji, zero_shot
from clipcond.cli import main
from clipcond.emoji.world import PRESETS
from clipcond.resources import model_folder
from clipcond.score import ClipScorer
from clipcond.tables import Column, read_rows, write_rows

CLASSES = ["fox", "rocket", "pizza"]


@pytest.fixture
def files(tmp_path):
    for name in CLASSES:
        item = emoji.Item(name, 8, 8, 12)
        emoji.render(emoji.Scene("cyan", (item,))).save(tmp_path / f"{name}.png")
    rows = "".join(f"{name}.png,{name}\n" for name in CLASSES)
    (tmp_path / "truth.csv").write_text("file,class\n" + rows)
    return tmp_path


def paths(files):
    return [str(files / f"{name}.png") for name in CLASSES]


def test_classify_answers_as_the_library_does(files, capsys):
    command = [
        "classify",
        *paths(files),
        "--classes",
        "fox,rocket|large rocket,pizza",
        "--top",
        "2",
    ]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    scorer = ClipScorer.from_pretrained(model_folder("emoji"))
    own = zero_shot(paths(files), ["fox", ["rocket", "large rocket"], "pizza"], scorer)
    assert result["classes"] == CLASSES
    for row, picture in zip(own, result["pictures"], strict=True):
        best = row.topk(2)
        assert [name for name, _ in picture["top"]] == [CLASSES[i] for i in best.indices.tolist()]
        assert [p for _, p in picture["top"]] == pytest.approx(best.values.tolist(), abs=1e-5)
    assert [picture["class"] for picture in result["pictures"]] == CLASSES


def test_truth_gives_tables_and_an_interval(files, tmp_path, capsys):
    command = ["classify", *paths(files), "--truth", str(files / "truth.csv")]
    assert main([*command, "--classes", ",".join(CLASSES), "--out", str(tmp_path / "out")]) == 0
    assert "right: 100.0 % (95 % interval" in capsys.readouterr().err
    with (tmp_path / "out" / "confusion.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table[0] == {"true": "fox", "fox": "1", "rocket": "0", "pizza": "0"}
    with (tmp_path / "out" / "per_class.csv").open(newline="") as file:
        assert [row["recall"] for row in csv.DictReader(file)] == ["1.0"] * 3


def test_columns_of_the_truth_and_a_file_of_two_classes(files, tmp_path, capsys):
    known = read_rows(files / "truth.csv", [Column("file", ""), Column("class", "")])
    named = [{"is": name, "picture": str(files / file)} for file, name in known]
    write_rows(named, tmp_path / "truth.tsv")
    command = ["classify", *paths(files), "--classes", ",".join(CLASSES), "--truth"]
    truth = [str(tmp_path / "truth.tsv"), "--file-column", "picture", "--class-column", "is"]
    assert main([*command, *truth]) == 0
    assert "right: 100.0 %" in capsys.readouterr().err
    write_rows([*named, named[0]], tmp_path / "truth.tsv")
    assert main([*command, *truth]) == 0
    write_rows([*named, {**named[0], "is": "car"}], tmp_path / "truth.tsv")
    assert main([*command, *truth]) == 2
    assert "and 'car'; keep one row of it" in capsys.readouterr().err


def test_a_saved_classifier_answers_the_same(files, tmp_path, capsys):
    saved = tmp_path / "c.safetensors"
    command = ["classify", *paths(files), "--json"]
    assert main([*command, "--classes", ",".join(CLASSES), "--save", str(saved)]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*command, "--classifier", str(saved)]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_prompts_of_ones_own(files, tmp_path, capsys):
    own = {"fox": ["a red fox", "a photo of a fox"], "other": ["a slice of pizza", "a rocket"]}
    (tmp_path / "own.json").write_text(json.dumps(own))
    assert main(["classify", *paths(files), "--prompts", str(tmp_path / "own.json"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [p["class"] for p in result["pictures"]] == ["fox", "other", "other"]


def test_unknown_things_are_called_so(files, tmp_path, capsys):
    others = [name for name in PRESETS["small"].nouns if name not in CLASSES]
    (tmp_path / "others.txt").write_text("\ufeff" + "\r\n".join(others))
    command = ["classify", *paths(files), "--classes", "fox,frog", "--json"]
    assert main([*command, "--unknown", str(tmp_path / "others.txt")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [p["class"] for p in result["pictures"]] == ["fox", "unknown", "unknown"]


def test_a_bad_file_is_named_and_the_rest_done(files, capsys):
    Image.new("RGB", (8, 8)).save(files / "bad.png")
    (files / "bad.png").write_bytes((files / "bad.png").read_bytes()[:40])
    assert main(["classify", *paths(files), str(files / "bad.png"), "--classes", "fox,car"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert "bad.png" in err


@pytest.mark.parametrize(
    ("arguments", "quote"),
    [
        (["--classes", "fox,,car"], "with an empty name in it"),
        (["--classes", "fox,fox"], "'fox' is there twice"),
        (["--classes", "fox", "--template", "a photo"], "has no {}"),
        (["--classes", "fox", "--out", "x"], "needs --truth"),
        (["--classes", "fox,car", "--truth", "none.csv"], "no such file"),
        (["--classes", "fox", "--unknown", "none.txt"], "none.txt: unreadable"),
        (["--prompts", "none.json"], "none.json: not readable"),
        (["--classifier", "none.safetensors"], "no such classifier file"),
        (["--classifier", "c", "--template", "{}"], "leave --template"),
    ],
)
def test_complaints(files, capsys, arguments, quote):
    assert main(["classify", *paths(files), *arguments]) == 2
    err = capsys.readouterr().err
    assert quote in err
    assert len(err.splitlines()) == 1
