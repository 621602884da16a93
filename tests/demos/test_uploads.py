"""Hostile uploads: each is one message that names the file."""

import struct
import zipfile
import zlib
from io import BytesIO

import pytest
from PIL import Image

from clipcond.errors import ClipcondError
from demos import uploads
from demos.uploads import MAX_FILE, read_uploads

RED = Image.new("RGB", (40, 40), "red")


def as_png(image=RED):
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def huge_png(side):
    """A header that promises side x side pixels, and nothing behind it."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def packed(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def test_pictures_and_zips_together(tmp_path):
    (tmp_path / "one.png").write_bytes(as_png())
    archive = packed(
        tmp_path / "more.zip",
        {
            "deep/two.png": as_png(),
            "prompts.txt": "a fox\n\n a cat \n",
            "__MACOSX/._two.png": b"junk",
            ".hidden": b"junk",
        },
    )
    found = read_uploads([str(tmp_path / "one.png"), archive])
    assert found.names == ("one.png", "two.png")
    assert [picture.size for picture in found.pictures] == [(40, 40)] * 2
    assert found.prompts == ("a fox", "a cat")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "drawing.png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "no picture that can be read",
        ),
        ("huge.png", huge_png(50_000), "too many pixels"),
        ("large.png", huge_png(9_000), "9000 x 9000"),
        ("cut.png", as_png()[:60], "cut.png"),
        ("empty.png", b"", "no picture"),
        ("text.zip", b"PK\x03\x04 no zip at all", "no picture"),
    ],
)
def test_what_is_no_picture(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipcondError, match=says) as error:
        read_uploads([str(tmp_path / name)])
    assert name in str(error.value)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png"]
)
def test_names_that_point_out_of_the_zip(tmp_path, name):
    with pytest.raises(ClipcondError, match="points out of the zip"):
        read_uploads([packed(tmp_path / "a.zip", {name: as_png()})])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_zip_bomb_is_left_where_the_limit_is(tmp_path):
    bomb = packed(tmp_path / "bomb.zip", {f"{i}.png": b"\0" * MAX_FILE for i in range(4)})
    with pytest.raises(ClipcondError, match=r"no picture|unpacks to over 20 MB"):
        read_uploads([bomb])
    bomb = packed(tmp_path / "bomb.zip", {"prompts.txt": b" " * (MAX_FILE + 1)})
    with pytest.raises(ClipcondError, match="unpacks to over 20 MB"):
        read_uploads([bomb])


def test_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_PICTURES", 2)
    with pytest.raises(ClipcondError, match="more than 2"):
        read_uploads([packed(tmp_path / "a.zip", {f"{i}.png": as_png() for i in range(3)})])
    with pytest.raises(ClipcondError, match="holds 201 files"):
        read_uploads([packed(tmp_path / "b.zip", {f"{i}.txt": b"" for i in range(201)})])
    monkeypatch.setattr(uploads, "MAX_PIXELS", 3000)
    with pytest.raises(ClipcondError, match="40 x 40"):
        read_uploads([packed(tmp_path / "c.zip", {f"{i}.png": as_png() for i in range(2)})])


def test_nothing_uploaded():
    with pytest.raises(ClipcondError, match="none uploaded"):
        read_uploads([])
