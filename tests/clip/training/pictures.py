"""Small pictures with captions, in every form that training reads."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (48, 40), mode: str = "RGB") -> Image.Image:
    """Noise, of its own for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def encoded(
    seed: int, size: tuple[int, int] = (48, 40), kind: str = "PNG", mode: str = "RGB"
) -> bytes:
    file = io.BytesIO()
    picture(seed, size, mode).save(file, kind)
    return file.getvalue()


def caption(number: int) -> str:
    return f"picture {number} of a fox"


def write_pictures(folder: Path, count: int) -> list[Path]:
    """0.png, 1.png, ... in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(encoded(number))
    return files


def write_folder(folder: Path, count: int) -> Path:
    """Pictures with two captions each beside them."""
    for number, file in enumerate(write_pictures(folder, count)):
        file.with_suffix(".txt").write_text(f"{caption(number)}\n{caption(number)}, again\n")
    return folder


def write_csv(folder: Path, count: int) -> Path:
    write_pictures(folder / "pictures", count)
    file = folder / "data.csv"
    lines = [
        f"pictures/{number}.png,{caption(number)},kind {number % 2}" for number in range(count)
    ]
    file.write_text("\n".join(["image,caption,kind", *lines]) + "\n")
    return file


def write_jsonl(folder: Path, rows: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_tar(file: Path, members: Mapping[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return file


def samples(first: int, count: int) -> dict[str, bytes]:
    """Members of a shard: a picture, a caption and a class each."""
    found = {}
    for number in range(first, first + count):
        found[f"{number:04}.png"] = encoded(number)
        found[f"{number:04}.txt"] = caption(number).encode()
        found[f"{number:04}.cls"] = str(number % 2).encode()
    return found
