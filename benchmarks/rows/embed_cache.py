"""A cache of text states on disk: 1,000 rows of [77, 768] float16 and their vector, and 200 of a T5 of 20 to 60 tokens [n, 4096] bfloat16, put 16 at a time as a
batch gives them, and got one by one in no order by an object that has just been made. Peers: `torch.save` a file each, as OneTrainer and SimpleTuner
do; npz in float32, as kohya's sd-scripts do; safetensors a file each; LMDB, one transaction a batch. What comes back is compared bit for bit. Seconds are of the
process; files are in the page cache. The limit is the rate at which the system itself writes and reads so many bytes, in pieces as large."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.race import Row, on_cpu, row_of

CLIP_ROWS, T5_ROWS, AT_ONCE, ROUNDS = 1000, 200, 16, 3
WRITE, READ = {"torch.save": 5.0}, {"torch.save": 10.0, "LMDB": 1.0}
TRIED = (
    "What is left is the system copying bytes: a batch of rows is written by one call and a row read by one, without any other copy. Maps of the file "
    "instead of reads would copy nothing, and crash where a network folder loses a file. LMDB's map has no such guard."
)
Entry = dict[str, torch.Tensor]


@cache
def entries() -> dict[str, Entry]:
    """By key, as a cache of conditioning has them."""
    torch.manual_seed(0)
    found: dict[str, Entry] = {}
    for number in range(CLIP_ROWS):
        found[f"{number:040x}"] = {
            "states": torch.randn(77, 768).half(),
            "end": torch.randn(768).half(),
        }
    for number in range(T5_ROWS):
        tokens = 20 + number % 41
        found[f"{10**6 + number:040x}"] = {"states": torch.randn(tokens, 4096).bfloat16()}
    return found


class Ours:
    """This library's cache."""

    def __init__(self, folder: Path) -> None:
        from clipcond.conditioning.row_store import RowStore

        self.store = RowStore(folder, 1 << 40)

    def put(self, some: Mapping[str, Entry]) -> None:
        """A batch."""
        self.store.put(some)

    def get(self, key: str) -> Entry:
        """One."""
        return self.store.get([key])[key]


class TorchSave:
    """A file each, pickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def put(self, some: Mapping[str, Entry]) -> None:
        """A batch."""
        for key, entry in some.items():
            torch.save(entry, self.folder / f"{key}.pt")

    def get(self, key: str) -> Entry:
        """One."""
        return torch.load(self.folder / f"{key}.pt", weights_only=True)


class Safetensors(TorchSave):
    """A file each."""

    def put(self, some: Mapping[str, Entry]) -> None:
        """A batch."""
        from safetensors.torch import save_file

        for key, entry in some.items():
            save_file(entry, self.folder / f"{key}.safetensors")

    def get(self, key: str) -> Entry:
        """One."""
        from safetensors.torch import load_file

        return load_file(self.folder / f"{key}.safetensors")


class Npz(TorchSave):
    """A file each, in float32."""

    def put(self, some: Mapping[str, Entry]) -> None:
        """A batch."""
        for key, entry in some.items():
            np.savez(self.folder / f"{key}.npz", **{n: t.float().numpy() for n, t in entry.items()})

    def get(self, key: str) -> Entry:
        """One."""
        with np.load(self.folder / f"{key}.npz") as file:
            return {name: torch.from_numpy(file[name]) for name in file.files}


class Lmdb:
    """One file; what a row's tensors are is known from elsewhere."""

    def __init__(self, folder: Path) -> None:
        import lmdb

        self.known = {
            key: {n: (t.shape, t.dtype) for n, t in e.items()} for key, e in entries().items()
        }
        self.store = lmdb.open(str(folder), map_size=1 << 32)

    def put(self, some: Mapping[str, Entry]) -> None:
        """A batch."""
        with self.store.begin(write=True) as writing:
            for key, entry in some.items():
                parts = (t.flatten().view(torch.uint8).numpy().tobytes() for t in entry.values())
                writing.put(key.encode(), b"".join(parts))

    def get(self, key: str) -> Entry:
        """One."""
        with self.store.begin() as reading:
            raw = bytearray(reading.get(key.encode()))
        found, at = {}, 0
        for name, (shape, dtype) in self.known[key].items():
            count = shape.numel()
            found[name] = torch.frombuffer(raw, dtype=dtype, count=count, offset=at).view(shape)
            at += count * dtype.itemsize
        return found


PEERS: dict[str, Callable[[Path], Any]] = {
    "torch.save": TorchSave, "npz, float32": Npz, "safetensors each": Safetensors, "LMDB": Lmdb,
}  # fmt: skip


def written(make: Callable[[Path], Any], folder: Path) -> float:
    """Seconds for all."""
    keys = list(entries())
    shutil.rmtree(folder, ignore_errors=True)
    store = make(folder)

    def write() -> None:
        for start in range(0, len(keys), AT_ONCE):
            store.put({key: entries()[key] for key in keys[start : start + AT_ONCE]})

    return on_cpu(write)


def read(make: Callable[[Path], Any], folder: Path) -> float:
    """Seconds for all, one by one, by a new object; every tensor is looked at."""
    store, order = make(folder), np.random.default_rng(0).permutation(list(entries())).tolist()
    return on_cpu(
        lambda: [tensor[-1].clone() for key in order for tensor in store.get(key).values()]
    )


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 it is a disk's
    """Written and read, a row a peer; and bytes."""
    with tempfile.TemporaryDirectory() as base:
        own, raw = Path(base) / "ours", _raw(Path(base) / "raw")
        for name, make in PEERS.items():
            their, pairs = Path(base) / "theirs", []
            for _ in range(ROUNDS):
                write = written(Ours, own), written(make, their)
                pairs.append((write, (read(Ours, own), read(make, their))))
            _check(make, own, their)
            for what, place, targets in (("write", 0, WRITE), ("read", 1, READ)):
                rates = [
                    (len(entries()) / pair[place][0], len(entries()) / pair[place][1])
                    for pair in pairs
                ]
                seconds = statistics.median(pair[place][0] for pair in pairs)
                yield row_of(
                    f"embed_cache/{what}/{name}",
                    rates,
                    unit="rows/s",
                    target=targets.get(name),
                    limit_share=raw[what] / seconds,
                )
            if name == "npz, float32":
                yield row_of(
                    "embed_cache/bytes on the disk/half of npz, float32",
                    [(_bytes(own) / len(entries()), _bytes(their) / len(entries()) / 2)],
                    unit="bytes a row",
                    target=1.0,
                    less=True,
                )


def _raw(file: Path) -> dict[str, float]:
    """Seconds in which the system writes and reads as many bytes: a batch, and a row, at a time."""
    sizes = [sum(t.nbytes for t in e.values()) for e in entries().values()]
    batches = [b"\1" * sum(sizes[i : i + AT_ONCE]) for i in range(0, len(sizes), AT_ONCE)]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist()
    order = np.random.default_rng(0).permutation(len(sizes)).tolist()
    room = memoryview(bytearray(max(sizes)))
    write, read = [], []
    for _ in range(ROUNDS):
        file.unlink(missing_ok=True)
        with file.open("wb", buffering=0) as writing:
            write.append(on_cpu(lambda: [writing.write(some) for some in batches]))
        with file.open("rb", buffering=0) as reading:
            pieces = [(reading.fileno(), [room[: sizes[i]]], starts[i]) for i in order]
            read.append(on_cpu(lambda pieces=pieces: [os.preadv(*each) for each in pieces]))
    file.unlink()
    return {"write": min(write), "read": min(read)}


def _check(make: Callable[[Path], Any], own: Path, their: Path) -> None:
    ours, theirs = Ours(own), make(their)
    for key, entry in entries().items():
        for found in (ours.get(key), theirs.get(key)):
            same = all(torch.equal(found[n].to(t.dtype), t) for n, t in entry.items())
            if not same or set(found) != set(entry):
                raise SystemExit(f"embed_cache: {key} came back different")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
