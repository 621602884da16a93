"""Tables on disk, and the confusion table."""

import csv
import importlib.util
import json

import pytest

from clipcond.errors import ScoreError
from clipcond.score import confusion_of
from clipcond.score.tables import read_columns, write_rows

ROWS = [
    {"file": 'a, "b".png', "score": 0.123456789, "truncated": True},
    {"file": "ü\n.png", "score": -1.0, "truncated": False},
]


def test_csv_and_jsonl_say_the_same(tmp_path):
    write_rows(ROWS, tmp_path / "t.csv")
    write_rows(ROWS, tmp_path / "t.jsonl")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{k: str(v) for k, v in row.items()} for row in ROWS]
    assert [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()] == ROWS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv", "t.jsonl"]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is there")
def test_parquet_without_pyarrow_says_what_to_install(tmp_path):
    with pytest.raises(ScoreError, match="pip install pyarrow"):
        write_rows(ROWS, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_parquet_with_pyarrow(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_rows(ROWS, tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == ROWS


@pytest.mark.parametrize(
    ("name", "quote"), [("t.xlsx", "ending says no table"), ("no/t.csv", "there is no folder")]
)
def test_files_that_cannot_be(tmp_path, name, quote):
    with pytest.raises(ScoreError, match=quote):
        write_rows(ROWS, tmp_path / name)


def test_a_folder_in_the_way_is_a_clear_error_and_leaves_nothing(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ScoreError, match=r"t\.csv: cannot be written"):
        write_rows(ROWS, tmp_path / "t.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("name", "text", "quote"),
    [
        ("t.csv", "file,text\na.png,x\n", "row 1 is .*needs file and prompt"),
        ("t.csv", "file,prompt\na.png\n", "row 1"),
        ("t.csv", "file,prompt\n", "holds no row"),
        ("t.jsonl", '{"file": "a.png", "prompt": 3}\n', "row 1"),
        ("t.jsonl", "[1]\n", "row 1"),
        ("t.jsonl", "{\n", "unreadable"),
        ("t.txt", "", "ending says no table"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, name, text, quote):
    (tmp_path / name).write_text(text)
    with pytest.raises(ScoreError, match=quote):
        read_columns(tmp_path / name, ("file", "prompt"))
    with pytest.raises(ScoreError, match="no such file"):
        read_columns(tmp_path / "none.csv", ("file", "prompt"))


def test_confusion_counts_and_divides():
    truth = ["a", "a", "a", "b", "b", "c"]
    answers = ["a", "a", "b", "b", "unknown", "a"]
    found = confusion_of(truth, answers, ["a", "b", "c"])
    assert found.rows() == [
        {"true": "a", "a": 2, "b": 1, "c": 0, "unknown": 0},
        {"true": "b", "a": 0, "b": 1, "c": 0, "unknown": 1},
        {"true": "c", "a": 1, "b": 0, "c": 0, "unknown": 0},
    ]
    assert found.accuracy.mean == pytest.approx(3 / 6)
    per_class = {row["class"]: row for row in found.per_class()}
    assert per_class["a"]["recall"] == per_class["a"]["precision"] == pytest.approx(2 / 3)
    assert per_class["b"] == {
        "class": "b", "pictures": 2, "recall": 0.5, "precision": 0.5, "f1": 0.5,
    }  # fmt: skip
    assert per_class["c"]["precision"] is None
    with pytest.raises(ScoreError, match="truth: 'x' is none of the classes"):
        confusion_of(["x"], ["a"], ["a"])
    with pytest.raises(ScoreError, match="1 truths and 2 answers"):
        confusion_of(["a"], ["a", "a"], ["a"])
