"""Steps are the same whatever the workers, the processes and the step that is begun with."""

import os
import signal
from itertools import islice

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcond.clip import load_clip
from clipcond.clip.training.loading import batches, dead_workers
from clipcond.clip.training.rows import Columns
from clipcond.clip.training.sources import open_source
from clipcond.clip.training.stream import Preparation, Stream
from clipcond.errors import ClipcondError
from tests.clip.training.pictures import write_folder
from tests.tiny import save_tiny_clip

COUNT, BROKEN = 11, 4


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Eleven pictures, one of them broken."""
    clip = load_clip(save_tiny_clip(tmp_path_factory.mktemp("clip")))
    folder = write_folder(tmp_path_factory.mktemp("data"), COUNT)
    (folder / f"{BROKEN}.png").write_bytes(b"no picture")
    (folder / "5.txt").write_text("a fox " * 60)
    (folder / "6.txt").write_text("a fox")
    source = open_source(folder, Columns())
    return Stream(source, np.arange(COUNT), Preparation.of(clip, crop=0.7), 5)


def rows(loaded):
    """What a share holds, row by row, whatever it was filled up to."""
    batch, found = loaded.batch, []
    for at in range(len(batch)):
        ids = batch.tokens[at, : batch.ends[at] + 1].tolist()
        found.append(
            (
                ids,
                batch.pixels[at].numpy().tobytes(),
                int(batch.pictures[at]),
                int(batch.captions[at]),
            )
        )
    return found


@given(
    size=st.integers(1, 30),
    world=st.integers(1, 5),
    first=st.integers(0, 40),
)
@settings(max_examples=25, deadline=None)
def test_shares_of_all_processes_are_the_step_and_any_step_can_be_begun_with(
    stream, size, world, first
):
    whole = list(batches(stream, size=size, first=0, last=first + 2))
    shares = [
        list(batches(stream, size=size, first=first, last=first + 2, rank=rank, world=world))
        for rank in range(world)
    ]
    for place in range(2):
        one, parts = whole[first + place], [share[place] for share in shares]
        assert {part.step for part in parts} == {first + place} == {one.step}
        assert [row for part in parts for row in rows(part)] == rows(one)
        assert tuple(each for part in parts for each in part.broken) == one.broken
        assert sum(part.cut for part in parts) == one.cut
        counts = [len(part.batch) + len(part.broken) for part in parts]
        assert sum(counts) == size
        assert max(counts) - min(counts) <= 1


def test_workers_change_nothing(stream):
    def read(workers, first):
        return list(batches(stream, size=70, first=first, last=4, rank=1, world=2, workers=workers))

    alone = read(0, 0)
    for workers, first in ((1, 0), (2, 0), (2, 3)):
        beside = read(workers, first)
        assert [rows(each) for each in beside] == [rows(each) for each in alone[first:]]
        assert [each.broken for each in beside] == [each.broken for each in alone[first:]]
        for one, other in zip(beside, alone[first:], strict=True):
            assert torch.equal(one.batch.tokens, other.batch.tokens)


def test_shares_larger_than_a_worker_reads_at_a_time_are_put_together(stream):
    (loaded,) = batches(stream, size=200, last=1)
    samples = [stream[place] for place in range(200)]
    kept = [each for each in samples if hasattr(each, "pixels")]
    assert torch.equal(loaded.batch.pixels, torch.stack([each.pixels for each in kept]))
    assert loaded.batch.pictures.tolist() == [each.picture for each in kept]
    assert len(kept) + len(loaded.broken) == 200
    assert {each.name for each in loaded.broken} == {f"{BROKEN}.png"}


def test_tokens_are_filled_to_eights(stream):
    places = {stream.source.name(stream.row(place)): place for place in range(COUNT)}
    for name, length in (("6.png", 8), ("5.png", stream.preparation.positions)):
        (loaded,) = batches(stream, size=1, first=places[name], last=places[name] + 1)
        assert loaded.batch.tokens.shape == (1, length)
        assert loaded.cut == (name == "5.png")


def test_a_share_of_nothing_has_the_right_shapes(stream):
    (loaded,) = batches(stream, size=1, last=1, rank=0, world=2)
    assert loaded.batch.pixels.shape == (0, 3, 32, 32)
    assert loaded.batch.tokens.shape == (0, 8)
    assert all(
        len(column) == 0
        for column in (loaded.batch.ends, loaded.batch.pictures, loaded.batch.captions)
    )
    place = next(
        place for place in range(COUNT) if stream.source.name(stream.row(place)) == f"{BROKEN}.png"
    )
    (only,) = batches(stream, size=1, first=place, last=place + 1)
    assert len(only.broken) == 1
    assert only.batch.pixels.shape == (0, 3, 32, 32)


def test_it_has_no_end_unless_it_is_given_one(stream):
    assert [each.step for each in islice(batches(stream, size=4, first=7), 30)] == list(
        range(7, 37)
    )


def test_torch_s_random_numbers_are_left_alone(stream):
    before = torch.get_rng_state()
    for workers in (0, 1):
        list(batches(stream, size=3, last=2, workers=workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_no_picture_a_step(stream):
    with pytest.raises(ClipcondError, match="batch: got 0"):
        next(batches(stream, size=0))


def test_a_worker_that_dies_is_one_line(stream):
    before = set(psutil.Process().children())

    def train():
        with dead_workers():
            for loaded in batches(stream, size=64, workers=1):
                for child in set(psutil.Process().children()) - before:
                    if loaded.step == 0:
                        os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(ClipcondError, match="a process that reads pictures died") as caught:
        train()
    assert "\n" not in str(caught.value)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="out of memory"), dead_workers():
        raise RuntimeError("CUDA out of memory")
