"""`clipcond search`: index, find, duplicates, cluster, stats, from a shell."""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from clipcond import emoji
from clipcond.cli import main


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    for number in range(12):
        emoji.render(emoji.sample(number), 32).save(folder / f"{number}.png")
    shutil.copy(folder / "3.png", folder / "copy.png")
    (folder / "bad.png").write_text("x")
    assert (
        main(["search", "index", str(folder), "--scorer", "judge", "--db", str(folder / "db")]) == 1
    )
    return folder / "db"


def test_index_tells_what_it_did(db, capsys):
    assert main(["search", "index", str(db.parent), "--db", str(db), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["encoded"], told["removed"]) == (13, 0, 0)
    assert "bad.png: not a picture" in told["failures"][0]


def test_find(db, tmp_path, capsys):
    caption, sheet = emoji.caption(emoji.sample(3), 3), tmp_path / "sheet.png"
    typed = ["search", "find", caption, "--db", str(db), "--top", "2", "--distinct", "0.999"]
    assert (
        main([*typed, "--copy-to", str(tmp_path / "found"), "--sheet", str(sheet), "--json"]) == 0
    )
    first, second = json.loads(capsys.readouterr().out)["hits"]
    assert {first["path"].rsplit("/")[-1], *(p.rsplit("/")[-1] for p in first["alike"])} == {
        "3.png",
        "copy.png",
    }
    assert first["score"] >= second["score"]
    assert len(list((tmp_path / "found").iterdir())) == 2
    with Image.open(sheet) as picture:
        assert picture.width > 300
    assert main(typed) == 0
    assert "(and 1 alike)" in capsys.readouterr().out
    assert main(["search", "find", "a fox", "--db", str(db), "--where", "width > 99"]) == 0
    assert "nothing is that near" in capsys.readouterr().err


def test_duplicates_and_stats(db, capsys):
    assert main(["search", "duplicates", "--db", str(db), "--threshold", "0.9999", "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [path.rsplit("/")[-1] for path in groups[0]] == ["3.png", "copy.png"]
    assert main(["search", "stats", "--db", str(db)]) == 0
    assert "pictures" in capsys.readouterr().out


def test_kinds_of_pictures_and_their_sheet(db, tmp_path, capsys):
    sheet = tmp_path / "kinds.html"
    typed = ["search", "cluster", "--db", str(db), "--threshold", "0.999", "--least", "2"]
    assert main([*typed, "--sheet", str(sheet), "--json"]) == 0
    (own,) = json.loads(capsys.readouterr().out)["groups"]
    assert sorted(path.rsplit("/")[-1] for path in own) == ["3.png", "copy.png"]
    page = sheet.read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "Group 1" in page
    assert main([*typed[:-1], "3"]) == 0
    assert "0 pictures in 0 groups" in capsys.readouterr().err
    assert main([*typed, "--sheet", str(tmp_path / "kinds.pdf")]) == 2
    assert "a contact sheet is a .png or .html" in capsys.readouterr().err


def test_what_is_gone_since_is_named_and_the_rest_is_shown(db, tmp_path, capsys):
    picture = db.parent / "5.png"
    content = picture.read_bytes()
    picture.unlink()
    try:
        for name in ("found.png", "found.html"):
            sheet = tmp_path / name
            typed = ["search", "find", "a fox", "--db", str(db), "--top", "13"]
            typed += ["--sheet", str(sheet), "--copy-to", str(tmp_path / name[-3:])]
            assert main(typed) == 1
            out, err = capsys.readouterr()
            assert len(out.splitlines()) == 14
            assert "5.png: [Errno 2]" in err
            assert sheet.exists()
            assert len(list((tmp_path / name[-3:]).iterdir())) == 12
    finally:
        picture.write_bytes(content)


def test_a_terminal_is_shown_the_pictures(db):
    """In a terminal of its own, without graphics: blocks in colour, two pixels a character."""
    if sys.platform == "win32":
        pytest.skip("no pty")
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "clipcond",
            "search",
            "find",
            "a fox",
            "--db",
            str(db),
            "--top",
            "1",
        ],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color"},
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal that is closed
            while some := os.read(ours, 1 << 16):
                shown += some
    os.close(ours)
    assert process.returncode == 0
    assert shown.count("▀".encode()) + shown.count("▄".encode()) >= 36
    assert b".png" in shown
    assert b"Traceback" not in shown  # of a terminal that does not answer


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["find", "a fox", "--db", "none"], "holds no index"),
        (["index", "none", "--db", "db"], "no such folder or file"),
        (["stats", "--db", "none"], "holds no index"),
        (["tune", "--db", "none"], "holds no index"),
    ],
)
def test_nothing_could_be_done_is_one_line_and_leaves_nothing(
    typed, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["search", *typed]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not any(tmp_path.iterdir())
