"""What encoders gave before: the results of single rows, in memory and on disk.

A row's key is a digest of the encoder as it is now (every weight, LoRA scale, layer, precision), of the row's ids and of
how much each is attended to; so a changed encoder finds nothing of what it was, and prompts share rows however they are
weighted. A hit is bit for bit what was put in. What the encoder would give now may differ from that in the last bits,
as its results do with the rows that share a forward.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from clipcond.conditioning.report import EncoderStats
from clipcond.conditioning.row_store import Entry, RowStore
from clipcond.encoders import EncoderOutput, TextEncoder, digest, execution_device, joined
from clipcond.errors import ClipcondError
from clipcond.weighting import Row


class EmbeddingCache:
    """A cache for one or several conditioners: `Conditioner.from_pipeline(pipe, cache=EmbeddingCache())`.

    Args:
        folder: where to keep rows on disk as well, shared with other processes; None for memory only.
        memory: bytes of rows to keep in memory; those used longest ago go first.
        disk: bytes to keep on disk.

    A folder that turns out to be read-only, full or gone is a `CacheWarning`, once, and no longer written to or read.

    Raises:
        ClipcondError: the folder's path leads through a file, or less than nothing is to be kept.
    """

    def __init__(
        self, folder: str | Path | None = None, *, memory: int = 256 << 20, disk: int = 4 << 30
    ) -> None:
        if memory < 0 or disk < 0:
            raise ClipcondError(f"a cache of {min(memory, disk)} bytes: needs 0 or more")
        self.memory = memory
        self._store = None if folder is None else RowStore(folder, disk)
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()  # an app answers from several threads

    def __repr__(self) -> str:
        place = "memory" if self._store is None else repr(str(self._store.folder))
        return f"EmbeddingCache({place})"

    def encode(
        self,
        encoder: TextEncoder,
        rows: Sequence[Row],
        run: Callable[[Sequence[Row]], list[EncoderOutput]],
    ) -> tuple[EncoderOutput, EncoderStats]:
        """The encoder's output for every row, running only those that are not there; and what that took.

        Args:
            encoder: whose rows these are.
            rows: distinct.
            run: some of them in one forward or several.
        """
        now = digest(encoder.module) + encoder.settings
        keys = [_key(now, row) for row in rows]
        found = self._find(keys)
        fresh = [i for i, key in enumerate(keys) if key not in found]
        outputs = run([rows[i] for i in fresh]) if fresh else []
        stats = EncoderStats(
            calls=len(outputs), rows=len(fresh), rows_cached=len(rows) - len(fresh)
        )
        if fresh:
            output = joined(outputs)
            new = {keys[i]: _entry(output, n, rows[i]) for n, i in enumerate(fresh)}
            self._keep(new)
            if len(fresh) == len(rows):
                return output, stats
            found |= new
        return _joined([found[key] for key in keys], execution_device(encoder.module)), stats

    def _find(self, keys: Sequence[str]) -> dict[str, Entry]:
        with self._lock:
            found = {key: self._entries[key] for key in keys if key in self._entries}
            for key in found:
                self._entries.move_to_end(key)
            missing = [key for key in keys if key not in found]
            if missing and self._store is not None:
                stored = self._store.get(missing)
                self._remember(stored)
                found |= stored
            return found

    def _keep(self, entries: dict[str, Entry]) -> None:
        with self._lock:
            self._remember(entries)
            if self._store is not None:
                self._store.put(entries)

    def _remember(self, entries: dict[str, Entry]) -> None:
        for key, entry in entries.items():
            self._size += _bytes(entry) - _bytes(self._entries.pop(key, {}))
            self._entries[key] = entry
        while self._size > self.memory and self._entries:
            _, dropped = self._entries.popitem(last=False)
            self._size -= _bytes(dropped)


def _key(encoder: bytes, row: Row) -> str:
    found = hashlib.blake2b(encoder, digest_size=20)
    found.update(repr((row.ids, row.attention, *filter(None, [row.before]))).encode())
    return found.hexdigest()


def _entry(output: EncoderOutput, number: int, row: Row) -> Entry:
    """One row's share, copied to the CPU."""
    parts = {"states": output.states[number, : len(row.ids)]}
    if output.ends is not None:
        parts["end"] = output.ends[number]
    return {name: part.detach().to("cpu", copy=True).contiguous() for name, part in parts.items()}


def _joined(entries: Sequence[Entry], device: torch.device) -> EncoderOutput:
    longest = max(len(entry["states"]) for entry in entries)
    states = [F.pad(e["states"], (0, 0, 0, longest - len(e["states"]))) for e in entries]
    ends = torch.stack([e["end"] for e in entries]).to(device) if "end" in entries[0] else None
    return EncoderOutput(states=torch.stack(states).to(device), ends=ends)


def _bytes(entry: Entry) -> int:
    return sum(part.nbytes for part in entry.values())
