"""Cached rows on disk: safetensors files in one folder that several processes share.

What a call adds is one small file, written under another name and renamed, so that a file is there whole or not at all.
Many small files are merged to shards, and the shards read longest ago go when there is too much. It is a cache: what a
disk refuses is said once, and not tried again.
"""

import os
import uuid
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

from clipcond.errors import CacheWarning, ClipcondError
from clipcond.files import save_whole

Entry = dict[str, torch.Tensor]  # what is stored under one key, by name

_MOST_LOOSE = 64  # files of single calls before they are merged
_SHARD_BYTES = 256 << 20
# safetensors and torch raise their own for a disk that is full and for files that cannot be opened
_REFUSALS = (OSError, RuntimeError, SafetensorError, ClipcondError)


class ShardFolder:
    """Entries by key, in a folder that is made if need be.

    Raises:
        ClipcondError: the path leads through a file.
    """

    def __init__(self, folder: str | Path, limit: int) -> None:
        self.folder, self.limit = Path(folder).expanduser(), limit
        self._files: dict[str, Path] = {}  # key -> the file that has it
        self._known: set[Path] = set()
        self._reads = self._writes = True  # until the disk refuses
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ClipcondError(
                f"{self.folder}: no folder for a cache ({error.strerror})"
            ) from error
        except OSError as error:
            self._give_up("made", error)

    def get(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Those of the entries that are there, on the CPU; none of a folder that cannot be read.

        Warns:
            CacheWarning: it cannot, for the first time.
        """
        if not self._reads:
            return {}
        try:
            return self._get(set(keys))
        except _REFUSALS as error:
            self._give_up("read", error)
            return {}

    def _get(self, wanted: set[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        if wanted - set(self._files):
            self._look()
        for file in {self._files[key] for key in wanted if key in self._files}:
            found |= self._read(file, [key for key in wanted if self._files.get(key) == file])
        missing = wanted - set(found)
        if missing & set(self._files):  # another process has merged or dropped their file meanwhile
            self._look()
            for file in {self._files[key] for key in missing if key in self._files}:
                found |= self._read(file, [key for key in missing if self._files.get(key) == file])
        return found

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Add entries, if the folder can be written to; what is in it is read on.

        Warns:
            CacheWarning: it cannot, for the first time.
        """
        if not self._writes:
            return
        try:
            self._write("loose", entries)
            loose = list(self.folder.glob("loose-*.safetensors"))
            if len(loose) > _MOST_LOOSE or self.size > self.limit:
                self._tidy()
        except _REFUSALS as error:
            self._give_up("written to", error)

    def _give_up(self, what: str, error: Exception) -> None:
        """Leave the disk alone from now on, and say so once; what cannot be written to may still be read."""
        first = self._reads and self._writes
        self._writes = False
        self._reads = self._reads and what == "written to"
        if first:
            reason = getattr(error, "strerror", None) or error.__cause__ or error
            warnings.warn(
                f"the cache's folder {self.folder} cannot be {what}, and the cache goes on without: {reason}",
                CacheWarning,
                stacklevel=2,
            )

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(_stat(file)[0] for file in self.folder.glob("*.safetensors"))

    def _look(self) -> None:
        """Find the keys of files that are new, and forget those of files that are gone."""
        there = set(self.folder.glob("*.safetensors"))
        if gone := self._known - there:
            self._files = {key: file for key, file in self._files.items() if file not in gone}
        self._known &= there
        for file in there - self._known:
            try:
                with safe_open(file, framework="pt") as opened:
                    names = list(opened.keys())
            except FileNotFoundError:  # or any other reason not to open it
                continue
            except SafetensorError:
                with suppress(OSError):
                    file.unlink()  # damaged by the disk: as good as never written
                continue
            self._files |= {name.partition("/")[0]: file for name in names}
            self._known.add(file)

    def _read(self, file: Path, keys: list[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {key: {} for key in keys}
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 no mapping
                    key, _, part = name.partition("/")
                    if key in found:
                        found[key][part] = opened.get_tensor(name)
        except (FileNotFoundError, SafetensorError):
            return {}
        with suppress(OSError):  # a folder that is only for reading
            os.utime(file)
        return {key: entry for key, entry in found.items() if entry}

    def _write(self, kind: str, entries: Mapping[str, Entry]) -> Path:
        file = self.folder / f"{kind}-{uuid.uuid4().hex}.safetensors"
        flat = {f"{key}/{part}": t for key, entry in entries.items() for part, t in entry.items()}
        save_whole(file, flat)
        self._files |= dict.fromkeys(entries, file)
        self._known.add(file)
        return file

    def _tidy(self) -> None:
        """Merge small files to shards and drop what was read longest ago; one process at a time."""
        lock = FileLock(self.folder / ".lock")
        try:
            with lock.acquire(timeout=0):
                self._merge()
                self._evict()
        except Timeout:
            return  # another process is at it

    def _merge(self) -> None:
        self._look()
        batch: dict[str, Entry] = {}
        merged: list[Path] = []
        weight = 0
        for file in sorted(self.folder.glob("loose-*.safetensors")):
            keys = [key for key, place in self._files.items() if place == file]
            batch |= self._read(file, keys)
            merged.append(file)
            weight += _stat(file)[0]
            if weight >= _SHARD_BYTES:
                self._seal(batch, merged)
                batch, merged, weight = {}, [], 0
        self._seal(batch, merged)

    def _seal(self, batch: dict[str, Entry], merged: list[Path]) -> None:
        if batch:
            self._write("shard", batch)
        for file in merged:
            file.unlink(missing_ok=True)
        self._known -= set(merged)

    def _evict(self) -> None:
        files = sorted(self.folder.glob("*.safetensors"), key=lambda file: _stat(file)[1])
        total = self.size
        while total > self.limit and files:
            file = files.pop(0)
            total -= _stat(file)[0]
            file.unlink(missing_ok=True)
        self._look()


def _stat(file: Path) -> tuple[int, float]:
    """(bytes, when it was last used); nothing of a file that another process has just removed."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0.0
    return found.st_size, found.st_mtime
