"""Candidates as they come: a list, a folder, or a generator, in batches, each with its number and its seed.

A candidate is kept as it came: a path stays a path, and the picture in it is open for as long as its batch is scored.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from clipcond.clip import split_images
from clipcond.clip.images import ImageLike, Images
from clipcond.errors import ScoreError

if TYPE_CHECKING:
    Candidates = Images | Iterator[ImageLike]
else:  # checked where they are used
    Candidates = object

# contact sheets and maps that `clipcond generate` writes beside its pictures
_GRID = re.compile(r"\d{4,}-grid\.png")
_MAP = re.compile(r"\d{4,}-\d+-seed\d+-attention-.+\.png")


class Skipped(NamedTuple):
    """What is not among the candidates.

    Attributes:
        item: the file or folder; of a picture that is no file, its position in the input.
        reason: why.
        failed: it should have been one, and could not be read or scored.
    """

    item: Path | int
    reason: str
    failed: bool


class Candidate(NamedTuple):
    """One picture that may be chosen.

    Attributes:
        position: in the input, from 0.
        seed: decides ties; the position where none was given.
        image: as it came.
    """

    position: int
    seed: int
    image: ImageLike


def pictures_in(folder: Path, *, on_error: str = "raise") -> tuple[list[Path], list[Skipped]]:
    """Picture files of a folder and the folders in it, in order of their paths, and what was passed over.

    A picture file is one whose ending Pillow knows. Passed over, by name: hidden files and folders (such as the `._`
    files that macOS leaves on other disks), links to folders, what is neither a file nor a folder, and the contact
    sheets and maps of attention that `clipcond generate` writes.

    Args:
        folder: where to look.
        on_error: what a folder in it that cannot be read does: "raise", or "skip", which names it.

    Raises:
        ScoreError: no such folder, one in it that cannot be read, or no picture.
    """
    if not folder.is_dir():
        raise ScoreError(f"{folder}: no such folder; name one that holds pictures")
    known = Image.registered_extensions()
    files: list[Path] = []
    skipped: list[Skipped] = []

    def unreadable(error: OSError) -> None:
        reason = f"cannot be read ({error.strerror})"
        if on_error == "raise":
            raise ScoreError(f"{error.filename}: {reason}; see to its permissions") from error
        skipped.append(Skipped(Path(error.filename), reason, failed=True))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        place = Path(parent)
        here = [place / name for name in names if Path(name).suffix.lower() in known]
        reasons = {path: _passed_over(path) for path in [*here, *map(place.joinpath, folders)]}
        skipped += [Skipped(p, reason, failed=False) for p, reason in reasons.items() if reason]
        files += [path for path in here if not reasons[path]]
        folders[:] = [name for name in folders if not reasons[place / name]]
    if not files:
        seen = f" to rank, only {skipped[0].item} ({skipped[0].reason})" if skipped else ""
        raise ScoreError(f"{folder}: holds no picture{seen}")
    return sorted(files), sorted(skipped, key=lambda each: str(each.item))


def _passed_over(path: Path) -> str:
    """Why a file or folder is not looked at; "" where it is."""
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink() and path.is_dir():
        return "a link to a folder"
    if path.exists() and not (path.is_file() or path.is_dir()):
        return "neither a file nor a folder"
    if _MAP.fullmatch(path.name):
        return "a map of attention of clipcond generate"
    return "a contact sheet of clipcond generate" if _GRID.fullmatch(path.name) else ""


def listed(images: Candidates, on_error: str) -> tuple[Sequence[ImageLike] | None, list[Skipped]]:
    """The pictures of a list, batch or folder, and what was passed over; None for a generator, which has no length.

    Raises:
        ScoreError: neither, or nothing in it.
    """
    if isinstance(images, Iterator):
        return None, []
    if isinstance(images, str | Path) and Path(images).is_dir():
        return pictures_in(Path(images), on_error=on_error)
    return split_images(images), []


def numbered(images: Iterable[ImageLike], seeds: Iterable[int] | None) -> Iterator[Candidate]:
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


def skipped_of(candidate: Candidate, reason: str) -> Skipped:
    """A candidate that cannot be scored, under the name that its owner knows it by."""
    image = candidate.image
    item = Path(image) if isinstance(image, str | Path) else candidate.position
    return Skipped(item, reason.removeprefix(f"{item}: "), failed=True)
