"""A folder of work in bulk: of one run at a time, of one kind of work for good, and without what a killed run left."""

import pytest
from filelock import FileLock

from clipcond.bulk import claimed
from clipcond.errors import ClipcondError
from clipcond.files import write_whole

ABOUT = {"version": 1, "options": {"size": (2, 3)}}


def take(folder, about=ABOUT):
    with claimed(folder, about, parts="shard-*"):
        pass


def test_it_is_taken_again_by_the_same_work_only(tmp_path):
    take(tmp_path / "a" / "b")
    take(tmp_path / "a" / "b")
    with pytest.raises(ClipcondError, match="other options; name another folder, or delete it"):
        take(tmp_path / "a" / "b", ABOUT | {"options": {"size": (2, 4)}})


def test_it_is_of_one_run_at_a_time(tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(ClipcondError, match="another process is writing to it; wait for it"),
    ):
        take(tmp_path)
    with claimed(tmp_path, ABOUT, parts="shard-*"):
        pass
    take(tmp_path)


def test_shards_of_nobody_are_refused(tmp_path):
    (tmp_path / "shard-1").touch()
    with pytest.raises(ClipcondError, match="holds shards that nothing tells about"):
        take(tmp_path)


def test_a_file_in_the_way_and_a_damaged_description(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ClipcondError, match="cannot be made"):
        take(tmp_path / "file" / "out")
    (tmp_path / "about.json").write_text("{")
    with pytest.raises(ClipcondError, match=r"about\.json is damaged"):
        take(tmp_path)


def test_what_a_killed_run_left_is_cleared(tmp_path):
    class KilledError(BaseException):
        pass

    def die(path):
        path.write_text("half")
        path.rename(path.with_name(".left.partial"))
        raise KilledError

    (tmp_path / "deeper").mkdir()
    with pytest.raises(KilledError):
        write_whole(tmp_path / "deeper" / "file", die)
    take(tmp_path)
    assert not list((tmp_path / "deeper").iterdir())


def test_a_disk_that_refuses_leaves_what_was_there(tmp_path):
    def refuse(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_text("whole")
    with pytest.raises(ClipcondError, match="file cannot be written: No space left on device"):
        write_whole(tmp_path / "file", refuse)
    assert [f.read_text() for f in tmp_path.iterdir()] == ["whole"]
