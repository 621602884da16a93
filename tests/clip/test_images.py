"""Every accepted kind of picture becomes the same bytes; everything else is named."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from clipcond.clip import load_picture, split_images
from clipcond.errors import ScoreError

pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@pytest.mark.pitfall(26)
@given(pixels=pictures)
@settings(max_examples=30, deadline=None)
def test_every_kind_of_the_same_picture_is_the_same_picture(pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp("kinds") / "p.png"
    Image.fromarray(pixels).save(path)
    chw = torch.from_numpy(pixels).permute(2, 0, 1)
    for kind in (
        Image.fromarray(pixels),
        pixels,
        chw,
        chw / 255,
        chw.double() / 255,
        path,
        str(path),
    ):
        assert np.array_equal(np.asarray(load_picture(kind)), pixels)


@pytest.mark.pitfall(26)
@given(unit=hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(0, 1, width=32)))
@settings(max_examples=30, deadline=None)
def test_floats_round_as_diffusers_does_before_saving(unit):
    from diffusers.image_processor import VaeImageProcessor

    saved = VaeImageProcessor.numpy_to_pil(unit.transpose(1, 2, 0))[0]
    assert np.array_equal(np.asarray(load_picture(torch.from_numpy(unit))), np.asarray(saved))


def test_the_repair_of_numpy_floats_is_what_diffusers_saves(tmp_path):
    from diffusers.image_processor import VaeImageProcessor

    straight = np.random.default_rng(0).random((1, 9, 7, 3), dtype=np.float32)
    VaeImageProcessor.numpy_to_pil(straight)[0].save(tmp_path / "p.png")
    repaired = (255 * straight).round().astype("uint8")
    assert np.array_equal(load_picture(repaired[0]), load_picture(tmp_path / "p.png"))


def test_transparency_is_white_not_what_hides_behind_it():
    hidden_red = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    half_black = Image.new("LA", (2, 2), (0, 127))
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([0, 0, 255] * 256)
    palette.info["transparency"] = 0
    assert load_picture(hidden_red).getpixel((0, 0)) == (255, 255, 255)
    assert load_picture(half_black).getpixel((0, 0)) == (128, 128, 128)
    assert load_picture(palette).getpixel((0, 0)) == (255, 255, 255)
    assert load_picture(np.asarray(hidden_red)).getpixel((0, 0)) == (255, 255, 255)


def test_exif_orientation_turns_the_picture_upright(tmp_path):
    lying = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate 90 clockwise to view"
    lying.save(tmp_path / "p.png", exif=exif)
    upright = load_picture(tmp_path / "p.png")
    assert upright.size == (2, 4)
    assert np.array_equal(np.asarray(upright), np.rot90(np.asarray(lying), k=-1))


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path):
    wide = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(wide).save(tmp_path / "p.png")
    expected = [[0, 0, 1, 128, 255]]
    assert np.asarray(load_picture(tmp_path / "p.png"))[..., 0].tolist() == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "LAB"])
def test_other_modes_become_rgb(mode):
    source = "RGB" if mode == "LAB" else mode
    assert (
        load_picture(
            Image.new(source, (3, 2)).convert(mode) if mode != "LAB" else Image.new("LAB", (3, 2))
        ).mode
        == "RGB"
    )


def test_lists_batches_and_single_pictures_split_alike():
    batch = np.zeros((2, 4, 5, 3), np.uint8)
    assert len(split_images(batch)) == len(split_images(torch.zeros(2, 3, 4, 5))) == 2
    assert len(split_images(batch[0])) == len(split_images(Image.new("RGB", (1, 1)))) == 1
    assert len(split_images((batch[0], "a.png"))) == 2


BAD = {
    "float numpy": (np.zeros((4, 4, 3)), "float64 array of shape [4, 4, 3]", "(255 * x).round()"),
    "int numpy": (np.zeros((4, 4, 3), np.int64), "int64", "uint8"),
    "numpy CHW": (np.zeros((3, 8, 8), np.uint8), "[3, 8, 8]", "np.moveaxis"),
    "numpy grey": (np.zeros((8, 8), np.uint8), "[8, 8]", "colour"),
    "torch HWC": (torch.zeros(8, 8, 3), "[8, 8, 3]", "permute"),
    "torch int": (torch.zeros(3, 8, 8, dtype=torch.int32), "int32", "uint8"),
    "torch bool": (torch.zeros(3, 8, 8, dtype=torch.bool), "bool", "uint8"),
    "torch 0..255": (torch.full((3, 8, 8), 255.0), "255", "0..1"),
    "torch normalised": (torch.full((3, 8, 8), -1.0), "-1", "(x / 2 + 0.5)"),
    "torch NaN": (torch.full((3, 8, 8), float("nan")), "NaN", "half precision"),
    "torch inf": (torch.full((3, 8, 8), float("inf")), "infinity", "half precision"),
    "torch empty": (torch.zeros(3, 0, 8), "[3, 0, 8]", "no pixel"),
    "numpy empty": (np.zeros((0, 8, 3), np.uint8), "[0, 8, 3]", "no pixel"),
    "PIL int": (Image.new("I", (2, 2)), "'I'", "mode 'L'"),
    "PIL float": (Image.new("F", (2, 2)), "'F'", "mode 'L'"),
    "bytes": (b"\x89PNG", "bytes", "path"),
    "none": (None, "NoneType", "path"),
    "missing file": ("no/such.png", "no/such.png", "check the path"),
}


@pytest.mark.parametrize("case", BAD)
def test_anything_else_is_an_error_that_quotes_and_repairs(case):
    value, quote, repair = BAD[case]
    with pytest.raises(ScoreError) as caught:
        load_picture(value)
    assert quote in str(caught.value)
    assert repair in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [[], (), None, 3, {"a": 1}, np.zeros((0, 4, 4, 3), np.uint8)])
def test_no_pictures_is_an_error(value):
    with pytest.raises(ScoreError, match="images: got"):
        split_images(value)


def test_damaged_files_are_named(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        buffer, "PNG"
    )
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:2000])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "text.png", "empty.png"):
        with pytest.raises(ScoreError, match=name):
            load_picture(tmp_path / name)
    with pytest.raises(ScoreError):
        load_picture(tmp_path)
