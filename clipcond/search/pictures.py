"""Pictures to index: files in folders, and members of zips and tars, each with a name that finds it again."""

import os
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

from clipcond.errors import ClipcondError
from clipcond.gallery.folder import ENDINGS

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
INSIDE = "!/"  # between an archive and its member, as in photos.zip!/2024/fox.jpg
_LARGEST = 1 << 30  # bytes of a member that is read: more is no picture


@dataclass(frozen=True, slots=True)
class Source:
    """A picture that was found.

    Attributes:
        path: of the file; of a member of an archive, the archive's, "!/" and its name there.
        size: in bytes.
        changed: when it was last changed, or the archive was: nanoseconds since 1970.
    """

    path: str
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be looked into.

    Attributes:
        path: a folder or an archive.
        reason: in one line.
    """

    path: str
    reason: str


def find_sources(roots: Sequence[Path], *, without: Path) -> Iterator[Source | Unreadable]:
    """Every picture under some folders, archives and files, in the order of names. Links to folders are not followed.

    Args:
        roots: folders, archives or pictures.
        without: a folder that is passed over: the database's own.

    Raises:
        ClipcondError: a root that is not there.
    """
    for root in roots:
        if not root.exists():
            raise ClipcondError(f"{root}: no such folder or file; check the path")
        yield from _in_folder(root, without.resolve()) if root.is_dir() else _of_file(root)


def _in_folder(folder: Path, without: Path) -> Iterator[Source | Unreadable]:
    wrong: list[OSError] = []
    for inner, folders, files in os.walk(folder, onerror=wrong.append):
        own = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [name for name in own if (Path(inner) / name).resolve() != without]
        for name in sorted(files):
            if not name.startswith("."):
                yield from _of_file(Path(inner) / name)
    for error in wrong:
        yield Unreadable(str(error.filename), error.strerror or _reason(error))


def _of_file(file: Path) -> Iterator[Source | Unreadable]:
    name = file.name.lower()
    try:
        if name.endswith(ENDINGS):
            told = file.stat()
            yield Source(str(file), told.st_size, told.st_mtime_ns)
        elif name.endswith(ARCHIVES):
            yield from _members(file)
    # zipfile, tarfile and zlib each have errors of their own for a damaged archive
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        yield Unreadable(str(file), _reason(error))


def _members(file: Path) -> Iterator[Source]:
    changed = file.stat().st_mtime_ns
    found: list[tuple[str, int]] = []
    if file.suffix.lower() == ".zip":
        with zipfile.ZipFile(file) as archive:
            found += [(each.filename, each.file_size) for each in archive.infolist()]
    else:
        with tarfile.open(file) as tar:
            found += [(each.name, each.size) for each in tar if each.isfile()]
    for name, size in sorted(dict(found).items()):
        if name.lower().endswith(ENDINGS) and size <= _LARGEST:
            yield Source(f"{file}{INSIDE}{name}", size, changed)


def read_source(path: str) -> bytes:
    """A picture's bytes, by its path.

    Raises:
        ClipcondError: it is gone or unreadable.
    """
    try:
        with _opened(path) as file:
            return file.read()
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ClipcondError(f"{path}: {_reason(error)}") from error


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    archive, inside, name = path.partition(INSIDE)
    if not inside or Path(path).is_file():
        with Path(path).open("rb") as file:
            yield file
    elif archive.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped, zipped.open(name) as file:
            yield file
    else:
        with tarfile.open(archive) as tar:
            member = tar.extractfile(name)
            yield member or BytesIO()


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
