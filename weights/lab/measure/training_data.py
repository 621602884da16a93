"""What the measured trainings learn from: Parquet tables with the pictures in them, all a function of their arguments."""

import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from clipcond import emoji
from clipcond.emoji.scenes import draw, is_held_out
from clipcond.emoji.world import NOUNS, PRESETS, UNITS
from weights.lab.measure.openmoji import drawing, file_of, openmoji
from weights.lab.train.compose import Composer, Layout, varied
from weights.lab.train.data import scenes, with_near_misses

_STREAM = 900  # of scenes; the recipe's begin at 1000
_DRAWN_AT_ONCE = 256

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_CAPTIONS = (
    "the digit {}",
    "a handwritten {}",
    "the number {}",
    "a {} in handwriting",
    "a scan of the digit {}",
)
# of OpenMoji: what is drawn in its own style; flags, signs of brands and buttons are not
_GROUPS = (
    "activities",
    "animals-nature",
    "food-drink",
    "objects",
    "people-body",
    "smileys-emotion",
    "travel-places",
)
_DRAWING_CAPTIONS = ("{}", "a drawing of {}", "a picture of {}", "{} on a {background} background")


class Pair(NamedTuple):
    """A picture with its captions, and its class where it has one."""

    picture: Image.Image
    captions: tuple[str, ...]
    label: str | None


class Drawing(NamedTuple):
    """One of OpenMoji's, with its name there and what it looks like."""

    code: str
    name: str
    picture: Image.Image


def write_table(pairs: Iterable[Pair], file: Path) -> int:
    """Write columns image, caption and label, and say how many rows; the pictures as PNG."""
    import pyarrow
    from pyarrow import parquet

    rows = [
        {"image": _png(pair.picture), "caption": list(pair.captions), "label": pair.label}
        for pair in pairs
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return len(rows)


def scene_pairs(count: int, preset: str, *, seed: int = 0) -> Iterator[Pair]:
    """Training scenes: one thing alone and scenes as the recipe draws them (half near misses) by turns, half of all varied.

    The world's own mixture shows a thing alone in one picture of five. Never a held-out one.
    """
    stream = _STREAM + seed
    rng = np.random.default_rng(stream)
    composer = Composer(preset, zooms=True)
    several = with_near_misses(scenes(preset, stream), preset, rng)
    by_turns = (scene for both in zip(_alone(preset, rng), several) for scene in both)  # noqa: B905 endless
    drawn = islice(by_turns, count)
    while some := list(islice(drawn, _DRAWN_AT_ONCE)):
        layouts = [varied(scene, preset, rng) for scene in some]
        stacked = (torch.from_numpy(np.stack(part)) for part in zip(*layouts, strict=True))
        pictures = composer(Layout(*stacked)).permute(0, 2, 3, 1).numpy()
        for scene, picture in zip(some, pictures, strict=True):
            caption = emoji.caption(scene, int(rng.integers(1 << 31)))
            yield Pair(Image.fromarray(picture), (caption,), None)


def _alone(preset: str, rng: np.random.Generator) -> Iterator[emoji.Scene]:
    """An endless stream of training scenes with one thing."""
    while True:
        scene = draw(rng, PRESETS[preset], "single")
        if not is_held_out(scene):
            yield scene


def digit_pairs() -> dict[str, list[Pair]]:
    """scikit-learn's handwritten digits in three parts, in the order of its file.

    The last third is held out, a tenth before it is for choosing settings ("val"), the rest is for training. The
    file has the digits writer by writer, so that the held-out third was written by people who are not in the rest.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    pairs = []
    for levels, value in zip(found.images, found.target, strict=True):
        picture = Image.fromarray((levels * 255 / 16).round().astype(np.uint8)).convert("RGB")
        name = DIGITS[value]
        pairs.append(Pair(picture, tuple(c.format(name) for c in DIGIT_CAPTIONS), name))
    held, val = len(pairs) - len(pairs) // 3, len(pairs) // 10
    return {"train": pairs[: held - val], "val": pairs[held - val : held], "held_out": pairs[held:]}


def other_drawings(package: Path, preset: str) -> list[Drawing]:
    """OpenMoji's drawings but those that stand for a preset's nouns, by their names; no skin tones.

    Others of the same noun are among them where there are some (a grinning cat), for about half of the nouns.

    Args:
        package: the folder of the unpacked npm package.
        preset: of the world.
    """
    svg = package / "color" / "svg"
    held_out = {file_of(NOUNS[noun], svg).stem for noun in PRESETS[preset].nouns}
    rows = json.loads((package / "data" / "openmoji.json").read_text())
    return [
        Drawing(row["hexcode"], row["annotation"].lower(), drawing(svg / f"{row['hexcode']}.svg"))
        for row in rows
        if row["group"] in _GROUPS and not row["skintone"] and row["hexcode"] not in held_out
    ]


def drawing_pairs(
    drawings: Iterable[Drawing], preset: str, *, each: int, seed: int = 0
) -> Iterator[Pair]:
    """Each drawing so many times alone: on some background, in some size, somewhere."""
    rng, world = np.random.default_rng((_STREAM, seed)), PRESETS[preset]
    for drawn in drawings:
        for _ in range(each):
            size = int(rng.choice(list(world.sizes.values())))
            x, y = (int(v) for v in rng.integers(0, UNITS - size + 1, 2))
            background = str(rng.choice(world.backgrounds))
            scene = emoji.Scene(background, (emoji.Item(drawn.name, x, y, size),))
            captions = tuple(
                caption.format(drawn.name, background=background) for caption in _DRAWING_CAPTIONS
            )
            yield Pair(openmoji(drawn.picture, scene, world.size), captions, drawn.name)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
