import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.hooks.region import Region, read_regions, shares

WHOLE = (0, 0, 1, 1)
EDGE = st.floats(0, 1) | st.fractions(0, 1, max_denominator=24).map(float)
SPAN = st.tuples(EDGE, EDGE).map(sorted).filter(lambda span: span[0] < span[1])
BOX = (
    st.tuples(SPAN, SPAN)
    .map(lambda spans: tuple(zip(*spans, strict=True)))
    .map(lambda b: b[0] + b[1])
)
WEIGHT = st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.5, 1e6])
SIDE = st.integers(1, 17)
SEED = st.integers(0, 2**32 - 1)


def soft_mask(seed, height, width):
    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(seed))
    mask[0, 0] = 1
    return mask


def covered(start, end, places):
    """The part of [start, end] in each of the places, by how far a running edge has come in it."""
    return [
        min(max(end * places - i, 0), 1) - min(max(start * places - i, 0), 1) for i in range(places)
    ]


REGION = st.builds(lambda box, w: Region("a", box=box, weight=w), BOX, WEIGHT) | st.builds(
    lambda seed, h, w, weight: Region("b", mask=soft_mask(seed, h, w), weight=weight),
    SEED,
    SIDE,
    SIDE,
    WEIGHT,
)


@given(regions=st.lists(REGION, max_size=4), height=SIDE, width=SIDE)
def test_the_shares_of_each_place_are_1_together(regions, height, width):
    parts = shares(regions, height, width)
    assert parts.shape == (len(regions) + 1, height, width)
    assert parts.dtype == torch.float32
    assert (parts >= 0).all()
    assert (parts.double().sum(0) - 1).abs().max() < 1e-6


@given(box=BOX, height=SIDE, width=SIDE)
def test_a_box_covers_its_area_in_each_place(box, height, width):
    left, top, right, bottom = box
    area = torch.tensor(np.outer(covered(top, bottom, height), covered(left, right, width)))
    part = shares([Region("a", box=box)], height, width)[1].double()
    assert (part - area).abs().max() < 2e-6
    assert abs(part.mean().item() - (right - left) * (bottom - top)) < 2e-6


@given(seed=SEED, size=st.tuples(SIDE, SIDE), height=SIDE, width=SIDE)
def test_a_mask_of_any_size_keeps_its_area(seed, size, height, width):
    mask = soft_mask(seed, *size)
    part = shares([Region("a", mask=mask)], height, width)[1]
    assert abs(part.mean().item() - mask.mean().item()) < 1e-5
    if size == (height, width):
        assert (part - mask).abs().max() < 2e-6


@given(box=BOX, height=SIDE, width=SIDE, data=st.data())
def test_a_box_is_the_mask_of_its_pixels(box, height, width, data):
    """A mask whose pixels are the places between all edges of the box, drawn white inside."""
    rows, columns = data.draw(SIDE), data.draw(SIDE)
    left, top, right, bottom = box
    box = [round(left * columns), round(top * rows), round(right * columns), round(bottom * rows)]
    assume(box[0] < box[2] and box[1] < box[3])
    mask = torch.zeros(rows, columns)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    fractions = [n / side for n, side in zip(box, [columns, rows, columns, rows], strict=True)]
    drawn = shares([Region("a", mask=mask)], height, width)
    torch.testing.assert_close(drawn, shares([Region("a", box=fractions)], height, width))


def test_no_region_leaves_the_base_all_and_a_whole_one_nothing():
    assert torch.equal(shares([], 3, 5), torch.ones(1, 3, 5))
    for weight in (1.0, 1.5, 1e6):
        whole = shares([Region("a", box=WHOLE, weight=weight)], 3, 5)
        assert torch.equal(whole, torch.stack([torch.zeros(3, 5), torch.ones(3, 5)]))
    nothing = shares([Region("a", box=WHOLE, weight=0)], 3, 5)
    assert torch.equal(nothing, torch.stack([torch.ones(3, 5), torch.zeros(3, 5)]))


@given(
    cut=EDGE.filter(lambda x: 0 < x < 1), height=SIDE, width=SIDE, drawn=st.booleans(), seed=SEED
)
def test_regions_that_meet_leave_exactly_nothing_between_them(cut, height, width, drawn, seed):
    if drawn:
        mask = soft_mask(seed, 7, 5).round()
        mask[0, 1] = 0
        regions = [Region("a", mask=mask), Region("b", mask=1 - mask)]
    else:
        regions = [Region("a", box=(0, 0, cut, 1)), Region("b", box=(cut, 0, 1, 1))]
    base, a, b = shares(regions, height, width)
    assert (base == 0).all()
    if not drawn:
        split = cut * width
        assert (a[:, : math.floor(split)] == 1).all()
        assert (b[:, math.ceil(split) :] == 1).all()
        assert (a[:, math.ceil(split) :] == 0).all()


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_fraction_that_floats_only_come_near_to_still_meets_the_grid(tenths):
    parts = shares([Region("a", box=(tenths / 10, 0, 1, 1))], 1, 1280)
    left = (torch.arange(1280) < 128 * tenths).float()
    assert torch.equal(parts[:, 0], torch.stack([left, 1 - left]))


def test_halves_of_an_odd_grid():
    parts = shares([Region("a", box=(0, 0, 0.5, 1))], 1, 3)
    assert parts[1].tolist() == [[1.0, 0.5, 0.0]]
    assert parts[0].tolist() == [[0.0, 0.5, 1.0]]


def test_what_overlaps_is_shared_by_weight():
    regions = [Region("a", box=WHOLE, weight=0.2), Region("b", box=(0, 0, 0.5, 1), weight=0.6)]
    parts = shares(regions, 1, 2)
    torch.testing.assert_close(parts[:, 0, 0], torch.tensor([0.2, 0.2, 0.6]))
    torch.testing.assert_close(parts[:, 0, 1], torch.tensor([0.8, 0.2, 0.0]))
    heavy = [Region("a", box=WHOLE, weight=1), Region("b", box=(0, 0, 0.5, 1), weight=3)]
    torch.testing.assert_close(shares(heavy, 1, 2)[:, 0, 0], torch.tensor([0.0, 0.25, 0.75]))


def png(folder, picture, name="mask.png"):
    picture.save(folder / name)
    return folder / name


def test_a_mask_of_every_kind(tmp_path):
    grey = np.array([[0, 255, 51], [0, 255, 0]], dtype=np.uint8)
    rgb = np.stack([grey] * 3, axis=-1)
    opaque = np.concatenate([rgb, np.full((2, 3, 1), 255, np.uint8)], axis=-1)
    expected = torch.from_numpy(grey / np.float32(255))
    path = png(tmp_path, Image.fromarray(grey))
    given_as = [grey, grey[..., None], rgb, opaque, grey[:, ::-1][:, ::-1], Image.fromarray(grey)]
    given_as += [Image.fromarray(opaque), path, str(path), expected, expected.double()]
    for mask in given_as:
        kept = Region("a", mask=mask).mask
        assert kept.dtype == torch.float32
        assert torch.equal(kept, expected)
    for sharp in (grey > 100, torch.from_numpy(grey > 100), Image.fromarray(grey > 100)):
        assert torch.equal(Region("a", mask=sharp).mask, torch.from_numpy(grey > 100).float())


def test_a_mask_is_kept_as_it_was():
    mask = torch.ones(2, 2, requires_grad=True)
    region = Region("a", mask=mask)
    mask.detach().zero_()
    assert torch.equal(region.mask, torch.ones(2, 2))
    assert not region.mask.requires_grad
    assert replace(region, weight=2).weight == 2
    assert repr(region) == "Region(prompt='a', box=None, weight=1.0)"


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 1.01, 1), (-0.1, 0, 1, 1), (0.5, 0, 0.5, 1), (0.7, 0, 0.2, 1), (0, 1, 1, 1), (0, 0, 256, 512),
        (0, 0, 1), (0, 0, 1, 1, 1), (0, 0, math.nan, 1), (0, 0, 1, math.inf), "left", 0.5, {}, ("0", "0", "1", "1"),
        (False, False, True, True), (0, 0, 1, None),
    ],
)  # fmt: skip
def test_what_is_no_box_is_quoted(box):
    with pytest.raises(
        ClipcondError, match=r"Region\('a fox'\): box=.*; give \(left, top"
    ) as error:
        Region("a fox", box=box)
    assert repr(box) in str(error.value)


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf, 1e7, "1", None, True, 10**400])
def test_what_is_no_weight(weight):
    with pytest.raises(ClipcondError, match=r"weight=.*; give a number from 0 to 1000000"):
        Region("a fox", box=WHOLE, weight=weight)


def clear():
    picture = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    picture.paste((255, 255, 255, 255), (0, 0, 2, 2))
    return picture


def clear_in_sixteen_bits():
    picture = Image.new("I;16", (4, 4), 65535)
    picture.info["transparency"] = 0
    return picture


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((4, 4), np.uint8), "holds no white, its brightest pixel is 0 of 1"),
        (np.eye(4, dtype=np.uint8), "holds no white, its brightest pixel is 0.00392 of 1"),
        (torch.full((4, 4), 0.2), "brightest pixel is 0.2 of 1.*give weight="),
        (np.ones((4, 4), np.float32), "a numpy float32 array of shape [4, 4]; pass uint8"),
        (np.ones((3, 4, 5), np.uint8), "shape [3, 4, 5]; pass [height, width]"),
        (np.ones((4, 4, 2), np.uint8), "shape [4, 4, 2]; pass [height, width]"),
        (np.ones((0, 4), np.uint8), "shape [0, 4]; pass"),
        (np.ones(4, np.uint8), "shape [4]; pass"),
        (torch.ones(4), "shape [4]; pass [height, width]"),
        (torch.ones(1, 4, 4), "shape [1, 4, 4]; pass [height, width]"),
        (torch.ones(0, 4), "shape [0, 4]; pass"),
        (torch.ones(4, 4, dtype=torch.uint8), "pass bool, or float in 0..1"),
        (torch.full((4, 4), 255.0), "values outside 0..1"),
        (torch.tensor([[1.0, math.nan]]), "values outside 0..1"),
        (torch.tensor([[1.0, -1.0]]), "values outside 0..1"),
        (Image.new("F", (4, 4)), "mask: got a PIL image in mode 'F'"),
        (clear(), "transparent in places"),
        (np.asarray(clear()), "transparent in places"),
        (clear_in_sixteen_bits(), "transparent in places"),
        ("nowhere/mask.png", "no such picture file"),
        (["mask.png"], "mask: got list"),
        (7, "mask: got int 7"),
    ],
)  # fmt: skip
def test_what_is_no_mask(mask, says):
    with pytest.raises(ClipcondError) as error:
        Region("a fox", mask=mask)
    assert str(error.value).startswith("Region('a fox'): mask: ")
    for part in says.split(".*"):
        assert part in str(error.value)


def test_exactly_one_of_box_and_mask():
    with pytest.raises(ClipcondError, match=r"Region\('a'\): has neither box nor mask; give one"):
        Region("a")
    with pytest.raises(ClipcondError, match="has both box and mask; give one"):
        Region("a", box=WHOLE, mask=np.ones((2, 2), bool))
    with pytest.raises(ClipcondError, match=r"Region\(7\): the prompt is no text"):
        Region(7, box=WHOLE)


def written(folder, content):
    file = folder / "regions.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def test_regions_from_a_file(tmp_path):
    png(tmp_path, Image.new("L", (3, 2), 255))
    entries = [
        {"prompt": "a fox", "box": [0, 0, 0.5, 1], "weight": 0.5},
        {"prompt": "a pumpkin", "mask": "mask.png"},
        {"prompt": "", "mask": str(tmp_path / "mask.png"), "box": None},
    ]
    fox, pumpkin, empty = read_regions(written(tmp_path, entries))
    assert (fox.prompt, fox.box, fox.mask, fox.weight) == ("a fox", (0, 0, 0.5, 1), None, 0.5)
    assert (pumpkin.prompt, pumpkin.box, pumpkin.weight) == ("a pumpkin", None, 1)
    assert torch.equal(pumpkin.mask, torch.ones(2, 3))
    assert torch.equal(empty.mask, pumpkin.mask)
    windows = tmp_path / "bom.json"
    windows.write_text("\ufeff" + json.dumps(entries[:1]), encoding="utf-8")
    assert len(read_regions(windows)) == 1


GOOD = {"prompt": "a fox", "box": [0, 0, 1, 1]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not readable as JSON"),
        ("[{]", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('[{"prompt": "a", "prompt": "b"}]', "names 'prompt' twice"),
        ({"prompt": "a"}, "holds {'prompt': 'a'}; write a list of regions"),
        ([], "holds []; write a list of regions, at least one"),
        ("null", "holds None; write a list"),
        ([GOOD, "a fox"], "entry 2 of 2 is 'a fox'; write an object"),
        ([{"promt": "a fox"}], "entry 1 of 1 has the key 'promt'; known are prompt, box, mask, weight"),
        ([{"box": [0, 0, 1, 1]}], """entry 1 of 1 has no "prompt", but {'box': [0, 0, 1, 1]}; add one"""),
        ([GOOD, GOOD | {"prompt": 7}], "entry 2 of 2: Region(7): the prompt is no text"),
        ([{"prompt": "a fox"}], "Region('a fox'): has neither box nor mask"),
        ([GOOD | {"mask": "mask.png"}], "has both box and mask; give one"),
        ([GOOD | {"weight": -1}], "entry 1 of 1: Region('a fox'): weight=-1; give a number"),
        ('[{"prompt": "a", "box": [0, 0, 1, NaN]}]', "box=[0, 0, 1, nan]; give"),
        ([{"prompt": "a", "mask": 7}], "entry 1 of 1: mask=7; give the path of a picture"),
        ([{"prompt": "a", "mask": "none.png"}], "none.png: no such picture file"),
        ([{"prompt": "a", "mask": "regions.json"}], "not a picture that Pillow can read"),
        ([{"prompt": "a", "mask": ""}], "mask: "),
        ([{"prompt": "a", "mask": "\0"}], "mask: "),
        ([{"prompt": "a" * 1000}], "Region('aaaaa"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_clear_error(tmp_path, content, says):
    file = written(tmp_path, content)
    with pytest.raises(ClipcondError) as error:
        read_regions(file)
    assert str(error.value).startswith(f"{file}: ")
    assert says in str(error.value)
    assert len(str(error.value)) < 500 + 2 * len(str(file))


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(ClipcondError, match=r"none\.json: no such file"):
        read_regions(tmp_path / "none.json")
    with pytest.raises(ClipcondError, match="not readable as JSON"):
        read_regions(tmp_path)
    picture = png(tmp_path, Image.new("L", (3, 2), 255))
    with pytest.raises(ClipcondError, match="not readable as JSON"):
        read_regions(picture)
