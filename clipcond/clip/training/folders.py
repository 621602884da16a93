"""A folder of pictures: captions in text files beside them, or in their names."""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from clipcond.clip.training.rows import BrokenRowError, Columns, Packed, read_bytes, texts_of
from clipcond.errors import ClipcondError

_NUMBER = re.compile(
    r"(?:[-_ .]+\d+|[-_ .]*\(\d+\)|^\d+)$"
)  # that tells pictures of one name apart
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")


class FolderSource:
    """The pictures of a folder and the folders in it, in order of their paths.

    A picture's captions are the lines of the .txt file of its name. Where no picture has one, they are the names:
    "a_red_fox-3.png" says "a red fox". Hidden files and folders are passed over; links to folders are followed.

    Raises:
        ClipcondError: no picture, nothing that could be a caption, or a folder that cannot be read.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, columns: Columns) -> None:
        told = [
            name for name in (columns.image, columns.caption, columns.label) if name is not None
        ]
        strange = [name for name in told if name not in (Columns().image, Columns().caption)]
        if strange:
            raise ClipcondError(
                f"{folder}: a folder of pictures has no column {strange[0]!r}; name a table that has one"
            )
        files = sorted(_files(folder))
        pictures = [name for name in files if is_picture(name)]
        if not pictures:
            raise ClipcondError(f"{folder}: holds no picture{_seen(files)}")
        texts = {name for name in files if name.endswith(".txt")}
        self._beside = any(_beside(name) in texts for name in pictures)
        self._folder, self._names = folder, Packed()
        for name in pictures:
            self._names.append(name)
        if not self._beside:
            _check_names(folder, pictures)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, row: int) -> str:
        """Its path in the folder."""
        return self._names[row]

    key = name

    def picture(self, row: int) -> bytes:
        """The file's content."""
        return read_bytes(self._folder / self._names[row])

    def captions(self, row: int) -> tuple[str, ...]:
        """The lines beside it, or what its name says."""
        name = self._names[row]
        if not self._beside:
            return texts_of(said_by(name), "the file's name")
        beside = _beside(name)
        try:
            text = (self._folder / beside).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise BrokenRowError(f"has no captions beside it ({beside})") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BrokenRowError(f"{beside} is not readable as UTF-8 ({error})") from None
        return texts_of(text.split("\n"), beside)

    def label(self, row: int) -> None:
        """None: a folder tells no classes."""


def said_by(name: str) -> str:
    """A caption from a picture's path: the file's name without ending, number and underscores."""
    stem = _NUMBER.sub("", Path(name).stem)
    return " ".join(re.split(r"[-_\s]+", stem)).strip()


def is_picture(name: str) -> bool:
    """Whether Pillow reads files of that ending."""
    return os.path.splitext(name)[1].lower() in _endings()  # noqa: PTH122  three times as fast, for millions


@cache
def _endings() -> frozenset[str]:
    known = Image.registered_extensions()
    return frozenset(ending for ending, kind in known.items() if kind in Image.OPEN)


def _files(folder: Path) -> Iterator[str]:
    """Paths in the folder, with slashes; each folder once, however it is linked to."""
    seen: set[tuple[int, int]] = set()

    def unreadable(error: OSError) -> None:
        raise ClipcondError(
            f"{error.filename}: cannot be read ({error.strerror}); see to its permissions"
        )

    for parent, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        about = Path(parent).stat()
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        place = Path(parent).relative_to(folder)
        yield from ((place / each).as_posix() for each in names if not each.startswith("."))


def _beside(name: str) -> str:
    return os.path.splitext(name)[0] + ".txt"  # noqa: PTH122


def _check_names(folder: Path, pictures: list[str]) -> None:
    """That the pictures' names can be meant as captions."""
    tables = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in _TABLES)
    if tables:
        raise ClipcondError(
            f"{folder}: has no .txt files beside the pictures, but {tables[0]}; name that file, if the captions are in it, "
            "or take it out of the folder if the pictures' names are the captions"
        )
    said = {said_by(name) for name in pictures}
    if said == {""} or (len(said) == 1 and len(pictures) > 1):
        raise ClipcondError(
            f"{folder}: no captions. There is no {Path(_beside(pictures[0])).name} beside {pictures[0]}, and the pictures' "
            f"names all say {next(iter(said))!r}; write a .txt file for each picture, a caption a line"
        )


def _seen(files: list[str]) -> str:
    if not files:
        return " and no other file; name a folder of pictures"
    return f" that Pillow reads, only {files[0]} and the like; name a folder of pictures, or a table or .tar file itself"
