"""Picture files that are damaged, huge or mean harm: one line that names the file, memory bounded."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcond.cli import main
from clipcond.clip import load_picture
from clipcond.errors import ScoreError
from tests.tiny import save_tiny_clip


def png(width, height, rows, *, depth=8, colour=2, extra=()):
    """A PNG of any header, whatever Pillow would write."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def noise(kind, size=(64, 48), **options):
    written = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(written, kind, **options)
    return written.getvalue()


def refused(file, *quotes):
    with pytest.raises(ScoreError) as caught:
        load_picture(file)
    message = str(caught.value)
    assert "\n" not in message
    for quote in (str(file), *quotes):
        assert quote in message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
def test_truncated_files_are_named(tmp_path, kind, share):
    content = noise(kind)
    file = tmp_path / f"cut.{kind.lower()}"
    file.write_bytes(content[: int(share * len(content))])
    refused(file)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_flipped_bytes_are_an_error_that_names_the_file_or_harmless(tmp_path, kind, data):
    content = bytearray(noise(kind, size=(16, 12)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "flipped"
    file.write_bytes(content)
    message = str(file)
    try:
        assert load_picture(file).mode == "RGB"
    except ScoreError as error:
        message = str(error)
    assert str(file) in message


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (200_000, 600)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, size):
    file = tmp_path / "huge.png"
    file.write_bytes(png(*size, rows=[]))  # no pixel in it: decoding would fail otherwise
    refused(file, "89,478,485 pixels", "shrink it first")


def test_and_where_warnings_are_errors(tmp_path):
    (tmp_path / "huge.png").write_bytes(png(10_000, 10_000, rows=[]))
    refused(tmp_path / "huge.png", "89,478,485 pixels")


def test_a_pil_image_that_is_not_decoded_yet_is_looked_at_first(tmp_path, monkeypatch):
    (tmp_path / "huge.png").write_bytes(png(10_000, 10_000, rows=[]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with (
        Image.open(tmp_path / "huge.png") as opened,
        pytest.raises(ScoreError, match="picture of 10000 x 10000"),
    ):
        load_picture(opened)


def test_postscript_is_not_run(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    def forbidden(*_, **__):
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", forbidden)
    file = tmp_path / "drawing.png"  # by content, not by ending
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    refused(file, "EPS is a program")


def test_grey_of_unknown_white_names_its_file(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tiff")
    refused(tmp_path / "float.tiff", "mode 'F'", "convert it to mode 'L'")


def test_sixteen_bit_colour_keeps_its_high_byte(tmp_path):
    row = struct.pack(">6H", 0x0180, 0x7FFF, 0xFFFF, 0x1234, 0, 0x8000)
    (tmp_path / "wide.png").write_bytes(png(2, 1, [row], depth=16))
    assert np.asarray(load_picture(tmp_path / "wide.png")).tolist() == [
        [[0x01, 0x7F, 0xFF], [0x12, 0x00, 0x80]]
    ]


def test_a_transparent_colour_is_white_or_refused(tmp_path):
    grey = struct.pack(">2H", 0x0180, 0x1234)
    key = (b"tRNS", struct.pack(">H", 0x1234))
    (tmp_path / "grey.png").write_bytes(png(2, 1, [grey], depth=16, colour=0, extra=[key]))
    assert np.asarray(load_picture(tmp_path / "grey.png"))[0].tolist() == [[1] * 3, [255] * 3]
    row, key = bytes([1, 2, 3, 4, 5, 6]), (b"tRNS", struct.pack(">3H", 4, 5, 6))
    (tmp_path / "rgb.png").write_bytes(png(2, 1, [row], extra=[key]))
    assert np.asarray(load_picture(tmp_path / "rgb.png"))[0].tolist() == [[1, 2, 3], [255] * 3]
    wide, key = struct.pack(">3H", 0x1234, 0, 0), (b"tRNS", struct.pack(">3H", 0x1234, 0, 0))
    (tmp_path / "wide.png").write_bytes(png(1, 1, [wide], depth=16, extra=[key]))
    refused(tmp_path / "wide.png", "transparent colour", "alpha channel")


def test_cmyk_becomes_rgb_by_pillows_formula(tmp_path):
    ink = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    ink.save(tmp_path / "ink.tiff")
    assert load_picture(tmp_path / "ink.tiff").getpixel((0, 0)) == (255, 0, 0)
    assert load_picture(ink).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(tmp_path, kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    file = tmp_path / f"moving.{kind.lower()}"
    frames[0].save(file, save_all=True, append_images=frames[1:], **options)
    assert load_picture(file).getpixel((0, 0)) == (255, 0, 0)
    with Image.open(file) as opened:
        opened.seek(1)
        assert load_picture(opened).getpixel((0, 0)) == (0, 0, 255)


def test_a_broken_orientation_names_its_file_or_is_ignored(tmp_path):
    file = tmp_path / "exif.jpg"
    file.write_bytes(noise("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"))
    message = str(file)
    try:
        load_picture(file)
    except ScoreError as error:
        message = str(error)
    assert str(file) in message


def test_folders_and_devices_are_no_pictures(tmp_path):
    refused(tmp_path)
    refused(tmp_path / "missing.png", "check the path")


def test_the_command_line_names_each_and_scores_the_rest(tmp_path, capsys):
    (tmp_path / "cut.png").write_bytes(noise("PNG")[:900])
    (tmp_path / "huge.png").write_bytes(png(20_000, 20_000, rows=[]))
    (tmp_path / "good.png").write_bytes(noise("PNG"))
    scorer = save_tiny_clip(tmp_path / "clip")
    files = [str(tmp_path / name) for name in ("cut.png", "good.png", "huge.png")]
    assert main(["score", *files, "--prompt", "a cat", "--scorer", str(scorer)]) == 1
    out, err = capsys.readouterr()
    assert "good.png" in out
    assert "cut.png" in err
    assert "huge.png" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_of_a_pipeline_is_looked_at(dtype):
    assert load_picture(torch.ones(3, 2, 2, dtype=dtype)).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(ScoreError, match=r"0\.\.1"):
        load_picture(torch.full((3, 2, 2), 1.01, dtype=dtype))
