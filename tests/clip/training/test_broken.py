"""Broken rows are counted once each, listed at once, and too many of them stop the training."""

import json

import pytest
import torch

from clipcond.clip.training.batch import Batch
from clipcond.clip.training.broken import BrokenRows
from clipcond.clip.training.loading import Loaded
from clipcond.clip.training.stream import Broken
from clipcond.errors import ClipcondError


def step(good, *broken, number=0):
    """A step with so many good rows and these broken ones."""
    numbers = torch.zeros(good, dtype=torch.int64)
    batch = Batch(
        pixels=torch.zeros(good, 3, 2, 2),
        tokens=torch.zeros(good, 8, dtype=torch.int64),
        ends=numbers,
        pictures=numbers,
        captions=numbers,
    )
    found = tuple(Broken(row=row, name=f"{row}.jpg", reason="0 bytes") for row in broken)
    return Loaded(step=number, batch=batch, broken=found, cut=0)


def listed(file):
    return [json.loads(line)["row"] for line in file.read_text().splitlines() if line]


def test_each_row_is_counted_and_listed_once(tmp_path):
    file = tmp_path / "broken.jsonl"
    rows = BrokenRows(file, 5000)
    assert rows.summary() == ""
    assert not file.exists()
    rows.add(step(9, 4))
    assert listed(file) == [4]
    rows.add(step(9, 4, 7, 7))
    assert len(rows) == 2
    assert listed(file) == [4, 7]
    assert json.loads(file.read_text().splitlines()[0]) == {
        "row": 4,
        "name": "4.jpg",
        "reason": "0 bytes",
    }
    assert (
        rows.summary()
        == f"2 rows could not be read and left out, such as 4.jpg: 0 bytes; {file} lists all"
    )


def test_rows_of_other_processes_and_of_before_count(tmp_path):
    file = tmp_path / "broken.jsonl"
    one, other = BrokenRows(file, 100), BrokenRows(file, 100)
    one.add(step(9, 1, 2))
    other.add(step(9, 2, 3))
    assert one.summary().startswith("3 rows")
    assert other.summary().startswith("3 rows")
    again = BrokenRows(file, 100)
    assert len(again) == 3
    again.add(step(9, 1, 2, 3))
    assert len(listed(file)) == 4


def test_a_line_that_a_process_died_over_costs_itself_alone(tmp_path):
    file = tmp_path / "broken.jsonl"
    BrokenRows(file, 100).add(step(9, 1, 2))
    file.write_bytes(file.read_bytes()[:-9])
    again = BrokenRows(file, 100)
    assert len(again) == 1
    again.add(step(9, 2, 3))
    assert BrokenRows(file, 100).summary().startswith("3 rows")


def test_names_that_are_no_unicode_are_listed(tmp_path):
    rows = BrokenRows(tmp_path / "broken.jsonl", 100)
    loaded = step(5)
    odd = Broken(row=1, name=b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), reason="é\nü")
    rows.add(Loaded(step=0, batch=loaded.batch, broken=(odd,), cut=0))
    assert listed(tmp_path / "broken.jsonl") == [1]


@pytest.mark.parametrize(("rows", "steps"), [(5000, 100), (40, 4)])
def test_more_than_half_broken_is_an_error(tmp_path, rows, steps):
    def train(good, bad):
        counted = BrokenRows(tmp_path / f"{good}-{rows}.jsonl", rows)
        for number in range(steps):
            counted.add(step(good, *range(number * 10, number * 10 + bad)))
        return counted

    assert len(train(5, 5)) == 5 * steps
    with pytest.raises(
        ClipcondError, match=r"of \d+ rows \d+ could not be read, such as 0.jpg: 0 bytes; see 4-"
    ):
        train(4, 6)


def test_a_disk_that_vanishes_later_is_an_error_too(tmp_path):
    counted = BrokenRows(tmp_path / "broken.jsonl", 100)
    for _ in range(50):
        counted.add(step(10))

    def go_on():
        for number in range(20):
            counted.add(step(0, *range(number * 10, number * 10 + 10)))

    with pytest.raises(ClipcondError, match="could not be read"):
        go_on()


def test_a_list_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "broken.jsonl").mkdir()
    with pytest.raises(ClipcondError, match=r"cannot be read"):
        BrokenRows(tmp_path / "broken.jsonl", 10)
    with pytest.raises(ClipcondError, match=r"cannot be written"):
        BrokenRows(tmp_path / "gone" / "broken.jsonl", 10).add(step(9, 1))
