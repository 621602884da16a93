"""Every engine does each shard once, and what comes out is the same whoever did it and whoever was killed meanwhile."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from clipcond.bulk import find_engine
from clipcond.errors import ClipcondError
from tests.bulk.squares import COUNT, DIED, PIDS, SIZE, contents, name, squares

ROOT = Path(__file__).parents[2]
SECONDS = 120  # until a program that hangs is one that failed
RAY = pytest.param("ray", 2, marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore")])
ENGINES = [("local", 1), ("local", 2), RAY]
SHARDS = COUNT // SIZE


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    squares(folder, find_engine())
    return contents(folder)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_each_shard_is_done_once_and_only_if_missing(engine, workers, whole, tmp_path):
    out, found = tmp_path / "out", find_engine(engine, workers=workers)
    assert squares(out, found) == tuple(range(SHARDS))
    assert contents(out) == whole
    assert squares(out, found) == ()
    gone = (0, 3, SHARDS - 1)
    for number in gone:
        name(out, number).unlink()
    assert squares(out, found) == gone
    assert contents(out) == whole


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
@pytest.mark.parametrize("item", ["bad", "worse"])  # to prepare, to finish
def test_what_a_worker_says_is_what_is_said(engine, workers, item, tmp_path):
    items = [*range(8), item, *range(8)]
    with pytest.raises(ClipcondError, match=f"'{item}' is no number; leave it out"):
        squares(tmp_path / "out", find_engine(engine, workers=workers), items)
    assert not name(tmp_path / "out", 2).exists()


def program(folder, engine="local", workers=1):
    arguments = [sys.executable, "-m", "tests.bulk.squares", str(folder), engine, str(workers)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def appear(folder, pattern, count, going_on=lambda: True):
    """Wait until so many files are there."""
    end = time.monotonic() + SECONDS
    while going_on() and len(list(folder.glob(pattern))) < count and time.monotonic() < end:
        threading.Event().wait(0.02)  # the cores are for what is waited for


def killed_after(process, folder, shards):
    """Kill a program like kill -9 as soon as so many of its shards are there."""
    appear(folder, "shard-*", shards, lambda: process.poll() is None)
    process.send_signal(signal.SIGKILL)
    process.wait(SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "workers", "times"), [("local", 1, 6), ("local", 2, 4), ("ray", 2, 1)]
)
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    engine, workers, times, whole, tmp_path
):
    for moment in range(times):
        out = tmp_path / f"out-{moment}"
        with program(out, engine, workers) as process:
            killed_after(process, out, random.Random(moment).randint(0, SHARDS - 1))
        squares(out, find_engine())
        assert contents(out) == whole


@pytest.mark.slow
def test_workers_do_not_outlive_who_began_them(tmp_path):
    out = tmp_path / "out"
    with program(out, workers=2) as process:
        killed_after(process, out, 1)
    mine = [
        psutil.Process(int(file.name))
        for file in (tmp_path / PIDS).iterdir()
        if psutil.pid_exists(int(file.name))
    ]
    assert not psutil.wait_procs(mine, timeout=SECONDS)[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_costs_nothing_but_time(tmp_path):
    items = [*range(8), "die once", *range(COUNT)]
    squares(tmp_path / "out", find_engine("ray", workers=2), items)
    assert (tmp_path / DIED).exists()
    (tmp_path / "calm").mkdir()
    (tmp_path / "calm" / DIED).touch()
    squares(tmp_path / "calm" / "out", find_engine(), items)
    assert contents(tmp_path / "out") == contents(tmp_path / "calm" / "out")


def test_a_local_worker_that_dies_is_told(tmp_path):
    with pytest.raises(ClipcondError, match=r"a worker died .* run the same again to go on"):
        squares(tmp_path / "out", find_engine(workers=2), [*range(8), "die"])


def test_interrupted_it_says_how_to_go_on(tmp_path):
    with pytest.raises(
        KeyboardInterrupt, match=r"interrupted: 8 of 9 numbers are done; run the same again"
    ):
        squares(tmp_path / "out", find_engine(), [*range(8), "interrupt"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"workers": 0}, "workers: got 0; needs at least 1"),
        ({"name": "spark"}, "engine: got 'spark'; choose one of local, ray"),
        ({"address": "auto"}, "address 'auto' is of a Ray cluster; choose the engine ray too"),
    ],
)
def test_engines_that_are_none(asked, message):
    with pytest.raises(ClipcondError, match=message):
        find_engine(**asked)
