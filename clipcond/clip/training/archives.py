"""WebDataset's .tar shards: files of one name and different endings are a row.

A shard is read once for where its files begin, and then by those places in any order, where the `webdataset` package reads
from front to back and shuffles what it holds: so an epoch has each row once here, and a training goes on at any step.
"""

import json
import os
import re
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipcond.clip.training.folders import is_picture
from clipcond.clip.training.rows import (
    BrokenRowError,
    Columns,
    Packed,
    checked,
    label_of,
    missing,
    texts_of,
)
from clipcond.errors import ClipcondError

_META = re.compile(r"__[^/]*__($|/)")  # as in webdataset's tar_file_iterator
_PARTS = ("picture", "txt", "json", "cls")


@dataclass(slots=True)
class _Sample:
    """A row of a shard: its key, and (start, size) in bytes of each of its parts."""

    key: str
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    endings: list[str] = field(default_factory=list)


class ArchiveSource:
    """The rows of .tar shards, in the shards' order.

    A row's picture is its first file that Pillow reads; its captions are the lines of .txt, or else, or where
    `Columns.caption` has another name than "caption", that field of .json; its class is .cls, or `Columns.label` of .json.

    Raises:
        ClipcondError: no shard can be read, or holds a row.
    """

    def __init__(self, shards: Sequence[Path], columns: Columns) -> None:
        notes: list[str] = []
        self._shards, self._columns = tuple(shards), columns
        together = Path(os.path.commonpath([shard.absolute().parent for shard in shards]))
        self._called = tuple(shard.absolute().relative_to(together).as_posix() for shard in shards)
        self._keys, self._endings = Packed(), Packed()
        self._shard, self._places = array("q"), array("q")
        for number, shard in enumerate(shards):
            for sample in _samples(shard, notes):
                self._shard.append(number)
                self._keys.append(sample.key)
                self._endings.append(", ".join(sample.endings))
                for part in _PARTS:
                    self._places.extend(sample.parts.get(part, (0, -1)))
        if not len(self):
            raise ClipcondError(
                f"{shards[0]}: {'; '.join(notes) or 'holds no file'}; name .tar shards of pictures and captions"
            )
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self._shard)

    def name(self, row: int) -> str:
        """The shard's path in the folder that holds all, and the row's key in it."""
        return f"{self._called[self._shard[row]]}/{self._keys[row]}"

    key = name

    def picture(self, row: int) -> bytes:
        """The file's content."""
        content = self._read(row, "picture")
        if content is None:
            raise BrokenRowError(f"holds no picture, but {self._endings[row]}")
        return checked(content)

    def captions(self, row: int) -> tuple[str, ...]:
        """Of .txt or .json."""
        caption = self._columns.caption
        content = self._read(row, "txt") if caption == Columns().caption else None
        if content is not None:
            return texts_of(_text(content, ".txt").split("\n"), ".txt")
        content = self._read(row, "json")
        if content is None:
            raise BrokenRowError(f"holds no captions, but {self._endings[row]}")
        return texts_of(_fields(content).get(caption), f".json, {caption!r}")

    def label(self, row: int) -> str | None:
        """Of .cls or .json."""
        if self._columns.label is None:
            content = self._read(row, "cls")
            return None if content is None else label_of(_text(content, ".cls"))
        content = self._read(row, "json")
        return None if content is None else label_of(_fields(content).get(self._columns.label))

    def _file(self, row: int) -> Path:
        return self._shards[self._shard[row]]

    def _read(self, row: int, part: str) -> bytes | None:
        at = 2 * (row * len(_PARTS) + _PARTS.index(part))
        start, size = self._places[at : at + 2]
        if size < 0:
            return None
        try:
            with self._file(row).open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError as error:
            raise BrokenRowError(f"{self._file(row)}: unreadable ({error.strerror})") from None


def find_shards(data: str) -> list[Path]:
    """The files that a path with wildcards or a brace list names, such as "data/{000..012}.tar".

    Raises:
        ClipcondError: none, or one that is not there.
    """
    try:
        from webdataset.shardlists import expand_urls
    except ImportError:
        raise missing(f"{data}: webdataset") from None
    found: list[Path] = []
    for name in expand_urls(data):
        path = Path(name)
        wild = re.search(r"[*?\[]", name) is not None and not path.exists()
        root = Path(path.anchor)
        some = sorted(root.glob(str(path.relative_to(root)))) if wild else [path]
        found += [each for each in some if each.is_file()]
        if not any(each.is_file() for each in some):
            raise ClipcondError(f"{name}: no such file; check the path")
    return found


def _samples(shard: Path, notes: list[str]) -> Iterator[_Sample]:
    """The rows of a shard, grouped as webdataset does: neighbours of one key."""
    sample: _Sample | None = None
    for key, ending, place in _members(shard, notes):
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            sample = _Sample(key)
        part = ending if ending in _PARTS else "picture" if is_picture(f"x.{ending}") else None
        sample.endings.append(ending)
        if part is not None:
            sample.parts.setdefault(part, place)
    if sample is not None:
        yield sample


def _members(shard: Path, notes: list[str]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """(key, ending, (start, size)) of each file in a shard; a note on what is not readable."""
    try:
        from webdataset.tariterators import base_plus_ext
    except ImportError:
        raise missing(f"{shard}: webdataset") from None
    count = 0
    try:
        length = shard.stat().st_size
        with tarfile.open(shard, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                if not member.isreg() or _META.match(member.name):
                    continue
                if member.offset_data + member.size > length:
                    raise tarfile.ReadError(f"{member.name} is cut off")
                key, ending = base_plus_ext(member.name)
                if key is not None:
                    count += 1
                    yield key, ending.lower(), (member.offset_data, member.size)
            _check_end(shard, archive.offset)
    except (tarfile.TarError, OSError) as error:
        notes.append(
            f"{shard}: cut short or damaged after {count} files ({error}), and the rest is not read"
        )


def _check_end(shard: Path, end: int) -> None:
    """That there is a block of zeros where tarfile saw the end, since it takes what is no header for one."""
    with shard.open("rb") as file:
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("no mark of its end")


def _fields(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BrokenRowError(f".json is not readable ({error})") from None
    return found if isinstance(found, dict) else {}


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenRowError(f"{where} is not UTF-8 ({error})") from None
