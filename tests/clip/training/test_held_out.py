"""What is measured on is not trained on, and stays so when pictures are added."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcond.clip import load_clip
from clipcond.clip.images import load_picture
from clipcond.clip.training.held_out import held_out, held_rows
from clipcond.clip.training.rows import BrokenRowError, Columns
from clipcond.clip.training.sources import open_source
from clipcond.errors import ClipcondError
from tests.clip.training.pictures import (
    encoded,
    picture,
    samples,
    write_jsonl,
    write_pictures,
    write_tar,
)
from tests.tiny import save_tiny_clip


class Keyed:
    """Rows of which nothing but the keys of their pictures is known; "" is one that cannot be told."""

    notes: tuple[str, ...] = ()

    def __init__(self, keys):
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, row: int) -> str:
        return f"row {row}"

    def key(self, row: int) -> str:
        if not self.keys[row]:
            raise BrokenRowError("has no picture")
        return self.keys[row]

    def picture(self, row: int) -> bytes:
        raise BrokenRowError("has no picture")

    def captions(self, row: int) -> tuple[str, ...]:
        return ("a",)

    def label(self, row: int) -> None:
        return None


keys = st.lists(st.sampled_from([*"abcdefghij", ""]), min_size=2, max_size=40).filter(
    lambda found: len(set(found) - {""}) > 1
)


@given(found=keys, share=st.floats(0.001, 0.999), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_no_picture_is_on_both_sides_and_none_is_empty(found, share, seed):
    training, held = held_out(Keyed(found), share, seed)
    assert sorted([*training, *held]) == list(range(len(found)))
    sides = [{found[row] for row in side} for side in (training, held)]
    assert not sides[0] & sides[1]
    assert sides[0] - {""}
    assert sides[1]
    assert "" not in sides[1]


@given(share=st.floats(0.1, 0.9), seed=st.integers(0, 100))
@settings(max_examples=5, deadline=None)
def test_a_picture_stays_on_its_side_when_others_are_added(share, seed):
    names = [f"{number}.png" for number in range(200)]
    held = {names[row] for row in held_out(Keyed(names[:150]), share, seed)[1]}
    more = [*names[150:], *names[:150][::-1]]
    now = {more[row] for row in held_out(Keyed(more), share, seed)[1]}
    assert now & set(names[:150]) == held
    assert abs(len(now) / 200 - share) < 0.12


def test_the_seed_holds_out_others():
    names = [f"{number}.png" for number in range(100)]
    assert len({tuple(held_out(Keyed(names), 0.2, seed)[1]) for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("found", "share", "message"),
    [(["a", "a"], 0.5, "is 1 picture"), (["", ""], 0.5, "are no pictures"), (["a", "b"], 1, "needs 0 or more"),
     (["a", "b"], -0.1, "needs 0"), (["a", "b"], float("nan"), "needs 0")],
)  # fmt: skip
def test_what_cannot_be_held_out(found, share, message):
    with pytest.raises(ClipcondError, match=message):
        held_out(Keyed(found), share, 0)


def test_equal_pictures_in_a_table_are_one_whatever_row_they_are_in(tmp_path):
    import pyarrow
    from pyarrow import parquet

    cells = [encoded(number % 3) for number in range(12)]
    table = pyarrow.Table.from_pydict({"image": cells, "caption": ["a fox"] * 12})
    parquet.write_table(table, tmp_path / "x.parquet")
    training, held = held_out(open_source(tmp_path / "x.parquet", Columns()), 0.3, 0)
    assert {row % 3 for row in training} & {row % 3 for row in held} == set()
    assert len(held) in (4, 8)


def test_shards_of_one_name_in_two_folders_hold_different_pictures(tmp_path):
    write_tar(tmp_path / "a" / "0.tar", samples(0, 2))
    write_tar(tmp_path / "b" / "0.tar", samples(0, 2))
    source = open_source(str(tmp_path / "*" / "0.tar"), Columns())
    assert len({source.key(row) for row in range(4)}) == 4


def test_rows_of_one_picture_are_measured_together(tmp_path):
    clip = load_clip(save_tiny_clip(tmp_path / "clip"))
    write_pictures(tmp_path, 2)
    rows = [("0.png", ["a fox", "an animal"]), ("1.png", "a cat"), ("./0.png", ["a fox", "red"]), ("gone.png", "a box"),
            ("1.png", "")]  # fmt: skip
    file = write_jsonl(tmp_path, [{"image": n, "caption": c, "kind": n[-5]} for n, c in rows])
    source = open_source(file, Columns(label="kind"))
    found = held_rows(source, np.arange(5), clip.preprocessing.cropping("multi"))
    assert found.captions == [("a fox", "an animal", "red"), ("a cat",), ("a box",)]
    assert found.labels == ["0", "1", "e"]
    assert [each.row for each in found.broken] == [4]
    assert len(found.pictures) == 3
    for number in range(2):
        shown = clip.preprocessing([load_picture(picture(number))])[0]
        assert torch.equal(found.pictures[number], shown)
    assert found.pictures[2] is None


def test_a_held_out_part_without_captions(tmp_path):
    write_pictures(tmp_path, 1)
    source = open_source(write_jsonl(tmp_path, [{"image": "0.png", "caption": ""}]), Columns())
    clip = load_clip(save_tiny_clip(tmp_path / "clip"))
    with pytest.raises(ClipcondError, match=r"none of its 1 rows can be used \(data.jsonl row 1"):
        held_rows(source, np.arange(1), clip.preprocessing)
