"""Cached rows on disk: logs that are only ever appended to, in one folder that several processes share.

A log is one safetensors file after another, one for each `put`: a header of eight bytes and JSON that says what is where, and
the numbers. So a reader that knows the headers gets a row by one read at its place, and what another process has appended since is
found by going on where it stopped. Writers take turns; where one was killed in the middle, the torn end is not read, and the next one begins
another log. A log that is large enough is left alone, and those read longest ago go when there is too much. It is a cache: what a
disk refuses is said once, and not tried again.
"""

import json
import os
import time
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from clipcond.errors import CacheWarning, ClipcondError

Entry = dict[str, torch.Tensor]  # what is stored under one key, by name

_ENDING = ".rows"
_LOG_BYTES = 256 << 20
_LOGS = 8  # at least, within a limit: one goes at a time
_HEADER_BYTES = 64 << 20  # of one put: more is no header
_BUFFERS = 512  # that one call writes; the least that systems allow is 1,024
_PATIENCE = 5.0  # seconds to wait for another writer
_TOUCHED = 60.0  # seconds after which reading a log is noted again
# what encoders compute in, as safetensors names it
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry is: its tensors lie one after another."""

    log: Path
    offset: int
    parts: tuple[tuple[str, torch.dtype, tuple[int, ...]], ...]


class RowStore:
    """Entries by key, in a folder that is made if need be. Not for several threads at once.

    Args:
        folder: of the logs.
        limit: bytes of all logs.

    Raises:
        ClipcondError: the path leads through a file.
    """

    def __init__(self, folder: str | Path, limit: int) -> None:
        self.folder, self.limit = Path(folder).expanduser(), limit
        self._places: dict[str, _Place] = {}
        self._known: dict[Path, int] = {}  # how much of each log is
        self._opened: dict[Path, int] = {}
        weakref.finalize(self, _close, self._opened)
        self._touched: dict[Path, float] = {}
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
        wanted = list(keys)
        try:
            if any(key not in self._places for key in wanted):
                self._look()
            found = self._read(wanted)
            if any(key in self._places for key in wanted if key not in found):
                self._look()  # another process has dropped their log meanwhile
                found |= self._read([key for key in wanted if key not in found])
        except OSError as error:
            self._give_up("read", error)
            return {}
        return found

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Add entries, if the folder can be written to; what is in it is read on.

        Warns:
            CacheWarning: it cannot, for the first time.
        """
        if not self._writes:
            return
        try:
            self.folder.stat()  # the lock would make it again
            with FileLock(self.folder / ".lock").acquire(timeout=_PATIENCE):
                self._append(self._log(), entries)
                self._evict()
        except Timeout:
            return  # another process holds it for longer than rows are worth
        except OSError as error:
            self._give_up("written to", error)

    @property
    def size(self) -> int:
        """Bytes of all logs."""
        return sum(_stat(file)[0] for file in self._logs())

    def _logs(self) -> list[Path]:
        return sorted(log for log in self.folder.glob(f"*{_ENDING}") if log.stem.isdecimal())

    def _give_up(self, what: str, error: OSError) -> None:
        """Leave the disk alone from now on, and say so once; what cannot be written to may still be read."""
        first = self._reads and self._writes
        self._writes = False
        self._reads = self._reads and what == "written to"
        if first:
            warnings.warn(
                f"the cache's folder {self.folder} cannot be {what}, and the cache goes on without: {error.strerror or error}",
                CacheWarning,
                stacklevel=2,
            )

    def _look(self) -> None:
        """Read the headers of what is new, and forget what is gone."""
        there = self._logs()
        for gone in set(self._known) - set(there):
            self._places = {key: at for key, at in self._places.items() if at.log != gone}
            _close(self._opened, gone)
            for table in (self._known, self._touched):
                table.pop(gone, None)
        for log in there:
            with suppress(FileNotFoundError):
                self._known[log] = self._scan(log, self._known.get(log, 0))

    def _scan(self, log: Path, start: int) -> int:
        """Read headers from a place on; returns where the last whole put ends."""
        size = log.stat().st_size
        while size - start > 8:
            file = self._file(log)
            length = int.from_bytes(os.pread(file, 8, start), "little")
            data = start + 8 + length
            if not 0 < length <= _HEADER_BYTES or data > size:
                break
            try:
                found, end = _places(log, data, json.loads(os.pread(file, length, start + 8)))
            except (ValueError, KeyError, TypeError, AttributeError):
                break  # damaged by the disk: as good as never written
            if end > size:
                break
            self._places |= found
            start = end
        return start

    def _file(self, log: Path) -> int:
        if log not in self._opened:
            self._opened[log] = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        return self._opened[log]

    def _read(self, keys: Sequence[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for key in keys:
            place = self._places.get(key)
            if place is None:
                continue
            entry = {name: torch.empty(shape, dtype=kind) for name, kind, shape in place.parts}
            buffers = [_bytes(tensor) for tensor in entry.values()]
            wanted = sum(len(buffer) for buffer in buffers)
            if os.preadv(self._file(place.log), buffers, place.offset) == wanted:
                found[key] = entry
                self._touch(place.log)
        return found

    def _touch(self, log: Path) -> None:
        """Note that a log is in use, now and then."""
        now = time.monotonic()
        if now - self._touched.get(log, -_TOUCHED) >= _TOUCHED:
            self._touched[log] = now
            with suppress(OSError):  # a folder that is only for reading, or a log that is gone
                os.utime(log)

    def _log(self) -> Path:
        """The last log if it can take more, else the next one; by the only writer."""
        logs = self._logs()
        if not logs:
            return self.folder / f"{1:08d}{_ENDING}"
        self._look()
        last, size = logs[-1], _stat(logs[-1])[0]
        whole = self._known.get(last) == size
        if whole and size < min(_LOG_BYTES, self.limit // _LOGS):
            return last
        return self.folder / f"{int(last.stem) + 1:08d}{_ENDING}"

    def _append(self, log: Path, entries: Mapping[str, Entry]) -> None:
        header, buffers = _written(entries)
        with FileIO(log, "a") as file:
            left = deque([header, *buffers])
            while (
                left
            ):  # a disk that is full takes a part, and says why it takes no more when asked again
                count = os.writev(file.fileno(), list(islice(left, _BUFFERS)))
                while left and count >= len(left[0]):
                    count -= len(left.popleft())
                if left:
                    left[0] = left[0][count:]
        self._known[log] = self._scan(log, self._known.get(log, 0))

    def _evict(self) -> None:
        """Drop the logs used longest ago, but for the last one; by the only writer."""
        logs = self._logs()
        total = sum(_stat(log)[0] for log in logs)
        for log in sorted(logs[:-1], key=lambda log: _stat(log)[1]):
            if total <= self.limit:
                break
            total -= _stat(log)[0]
            log.unlink(missing_ok=True)


def _written(entries: Mapping[str, Entry]) -> tuple[memoryview, list[memoryview]]:
    """A header as safetensors has it, and the numbers behind it."""
    table: dict[str, Any] = {}
    buffers: list[memoryview] = []
    at = 0
    for key, entry in entries.items():
        for name, tensor in entry.items():
            buffers.append(_bytes(tensor.contiguous()))
            end = at + len(buffers[-1])
            table[f"{key}/{name}"] = {
                "dtype": _NAMES[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [at, end],
            }
            at = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return memoryview(len(text).to_bytes(8, "little") + text), buffers


def _places(log: Path, data: int, table: Mapping[str, Any]) -> tuple[dict[str, _Place], int]:
    """(the places of a header's entries, where the last of them ends)."""
    found: dict[str, _Place] = {}
    end = data
    for named, told in table.items():
        key, _, name = named.partition("/")
        begin, end = (data + offset for offset in told["data_offsets"])
        known = found.get(key, _Place(log, begin, ()))
        part = (name, _DTYPES[told["dtype"]], tuple(told["shape"]))
        found[key] = _Place(log, known.offset, (*known.parts, part))
    return found, end


def _bytes(tensor: torch.Tensor) -> memoryview:
    """A contiguous tensor's own memory."""
    return tensor.flatten().view(torch.uint8).numpy().data


def _close(opened: dict[Path, int], *logs: Path) -> None:
    """Close those logs, or all."""
    for log in logs or list(opened):
        if log in opened:
            os.close(opened.pop(log))


def _stat(file: Path) -> tuple[int, float]:
    """(bytes, when it was last used); nothing of a file that another process has just removed."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0.0
    return found.st_size, found.st_mtime
