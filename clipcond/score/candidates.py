"""Candidates as they come: a list, a folder, or a generator, in batches, each with its number and its seed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from clipcond.clip import load_picture, split_images
from clipcond.errors import ScoreError

if TYPE_CHECKING:
    from clipcond.clip.images import ImageLike, Images

    Candidates = Images | Iterator[ImageLike]
else:  # checked where they are used
    Candidates = object

# contact sheets that `clipcond generate` writes beside its pictures
_GRID = re.compile(r"\d{4,}-grid\.png")


class Candidate(NamedTuple):
    """One picture that may be chosen.

    Attributes:
        position: in the input, from 0.
        seed: decides ties; the position where none was given.
        image: as it came.
    """

    position: int
    seed: int
    image: Any


def pictures_in(folder: Path) -> list[Path]:
    """Files that Pillow knows by their ending, by name; our own contact sheets are no candidates.

    Raises:
        ScoreError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ScoreError(f"{folder}: no such folder; name one that holds pictures")
    known = Image.registered_extensions()
    files = sorted(
        f for f in folder.iterdir() if f.suffix.lower() in known and not _GRID.fullmatch(f.name)
    )
    if not files:
        raise ScoreError(f"{folder}: holds no picture")
    return files


def listed(images: Candidates) -> Sequence[Any] | None:
    """The pictures of a list, batch or folder; None for a generator, which has no length.

    Raises:
        ScoreError: neither, or nothing in it.
    """
    if isinstance(images, Iterator):
        return None
    if isinstance(images, str | Path) and Path(images).is_dir():
        return pictures_in(Path(images))
    return split_images(images)


def numbered(images: Iterable[Any], seeds: Iterable[int] | None) -> Iterator[Candidate]:
    """Each picture with its position and seed.

    Raises:
        ScoreError: the seeds end before the pictures.
    """
    source = count() if seeds is None else iter(seeds)
    for position, image in enumerate(images):
        seed = next(source, None)
        if seed is None:
            raise ScoreError(
                f"seeds: got {position}, fewer than there are images; pass one for each"
            )
        yield Candidate(position, seed, image)


def batched(candidates: Iterable[Candidate], size: int | None) -> Iterator[list[Candidate]]:
    """Lists of at most `size`; None: one of all."""
    source = iter(candidates)
    while batch := list(islice(source, size)):
        yield batch


def opened(candidate: Candidate) -> Image.Image:
    """The picture itself, decoded.

    Raises:
        ScoreError: it is none; the message says which.
    """
    try:
        return load_picture(candidate.image)
    except ScoreError as error:
        raise ScoreError(f"images[{candidate.position}]: {error}") from error
