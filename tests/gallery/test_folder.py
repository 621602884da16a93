"""staged: all files or none, and no folder left that was not there before."""

import pytest

from clipcond.errors import ClipcondError
from clipcond.gallery.folder import staged


def test_files_arrive_together_at_the_end(tmp_path):
    out = tmp_path / "a" / "b"
    with staged(out) as stage:
        (stage / "one").write_text("1")
        (stage / "two").write_text("2")
        assert sorted(p.name for p in out.iterdir()) == [stage.name]
    assert sorted(p.name for p in out.iterdir()) == ["one", "two"]


def write_and_fail(folder, name, error):
    with staged(folder) as stage:
        (stage / name).write_text("new")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing_behind(tmp_path, error):
    with pytest.raises(error):
        write_and_fail(tmp_path / "a" / "b", "one", error)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_what_was_there(tmp_path):
    (tmp_path / "kept").write_text("old")
    with pytest.raises(RuntimeError):
        write_and_fail(tmp_path, "kept", RuntimeError)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("kept", "old")]


def test_folders_made_in_vain_are_removed(tmp_path):
    deep = tmp_path
    while len(str(deep)) < 4080:  # so long that a name inside it is too long for the system
        deep = deep / ("d" * min(200, 4085 - len(str(deep))))
    with pytest.raises(ClipcondError, match="cannot write there"), staged(deep):
        pytest.fail("entered")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_a_clear_error(tmp_path):
    with pytest.raises(ClipcondError, match="too long"), staged(tmp_path / ("d" * 300)):
        pytest.fail("entered")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below", "/proc/clipcond-out"):
        with pytest.raises(ClipcondError, match="cannot write there"), staged(bad):
            pytest.fail("entered")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
