"""Bringing an index up to date: what is new is encoded, what was moved keeps its vector, what is gone goes."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipcond.bulk import Engine, batched, claimed, complete, cut, find_engine
from clipcond.errors import ClipcondError, printable
from clipcond.score import ClipScorer
from clipcond.search.encoding import A_SHARD, digest, encoding, read_part
from clipcond.search.pictures import INSIDE, Source, Unreadable, find_sources, read_source
from clipcond.search.table import COLUMNS, by_hash, delete, make_table, upsert

_STAGE = ".indexing"
_HELD = 8192  # rows that are written at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What bringing an index up to date did.

    Attributes:
        pictures: in the index now.
        encoded: that a CLIP looked at.
        known: new paths whose content was there already: moved or copied.
        removed: that are gone.
        failures: what could not be read, a line each.
    """

    pictures: int
    encoded: int
    known: int
    removed: int
    failures: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


class Updating:
    """One run of `Index.add`."""

    def __init__(self, folder: Path, scorer: ClipScorer) -> None:
        self.folder, self.scorer = folder, scorer
        self.failures: list[str] = []

    def run(self, roots: Sequence[Path], engine: Engine | None, device: str | None) -> Update:
        """Look what there is, encode what is new, write, clear away."""
        table = make_table(self.folder, self.scorer.clip.architecture.dim)
        columns = (
            table.search()
            .select(["path", "bytes", "changed", "hash"])
            .limit(table.count_rows() or 1)
            .to_list()
        )
        before = {row["path"]: row for row in columns}
        found = dict(self._found(roots))
        new = [s for s in found.values() if not _same(before.get(s.path), s)]
        gone = [path for path in before if path not in found and _under(path, roots)]
        known, fresh = self._known(new, columns)
        encoded = self._encode(table, fresh, engine, device)
        copied = self._copy(table, known)
        delete(table, gone)
        shutil.rmtree(self.folder / _STAGE, ignore_errors=True)
        return Update(
            pictures=table.count_rows(),
            encoded=encoded,
            known=copied,
            removed=len(gone),
            failures=tuple(map(printable, self.failures)),
        )

    def _found(self, roots: Sequence[Path]) -> Iterator[tuple[str, Source]]:
        for each in find_sources(roots, without=self.folder):
            if isinstance(each, Unreadable):
                self.failures.append(f"{each.path}: {each.reason}")
            else:
                yield each.path, each

    def _known(
        self, new: Sequence[Source], columns: Sequence[dict[str, Any]]
    ) -> tuple[list[tuple[Source, str]], list[Source]]:
        """(those whose content is there or comes with another one, and its hash; those that have to be encoded).

        Only what has the size of another can have its content, so only that is read for it.
        """
        sizes: dict[int, int] = {}
        for size in [row["bytes"] for row in columns] + [source.size for source in new]:
            sizes[size] = sizes.get(size, 0) + 1
        hashes = {row["hash"] for row in columns}
        known: list[tuple[Source, str]] = []
        fresh: list[Source] = []
        for source in new:
            own = ""
            if sizes[source.size] > 1:
                with suppress(ClipcondError):  # it is said when it is decoded
                    own = digest(read_source(source.path))
            if own and own in hashes:
                known.append((source, own))
            else:
                hashes.add(own)
                fresh.append(source)
        return known, fresh

    def _encode(
        self, table: Any, fresh: Sequence[Source], engine: Engine | None, device: str | None
    ) -> int:
        """Encode and write; how many have a vector."""
        if not fresh:
            return 0
        listed = hashlib.blake2b(repr(fresh).encode(), digest_size=16).hexdigest()
        stage = self.folder / _STAGE / listed
        for old in (self.folder / _STAGE).glob("*"):
            if old != stage:  # of a run whose pictures have changed since
                shutil.rmtree(old, ignore_errors=True)
        with claimed(stage, {"pictures": listed}, parts="*.safetensors"):
            shards = list(cut(fresh, A_SHARD, lambda n: stage / f"{n:06d}.safetensors"))
            complete(
                encoding(self.scorer, device),
                shards,
                engine or find_engine(),
                total=len(fresh),
                unit="pictures",
            )
            made = (pair for shard in shards for pair in read_part(shard.file))
            return self._write(table, made)

    def _write(self, table: Any, made: Iterator[tuple[dict[str, Any], Any]]) -> int:
        held: list[dict[str, Any]] = []
        count = 0
        for row, vector in made:
            if vector is None:
                self.failures.append(row["problem"])
                continue
            held.append({name: row[name] for name in COLUMNS} | {"vector": vector.tolist()})
            count += 1
            if len(held) == _HELD:
                upsert(table, held)
                held = []
        upsert(table, held)
        return count

    def _copy(self, table: Any, known: Sequence[tuple[Source, str]]) -> int:
        """Rows of what is there under another path."""
        count = 0
        for some in batched(known, _HELD):
            there = by_hash(table, [own for _, own in some])
            rows = []
            for source, own in some:
                if own not in there:  # its twin could not be encoded: it cannot either
                    self.failures.append(
                        f"{source.path}: cannot be read, as another file of the same content"
                    )
                    continue
                changed = {"path": source.path, "bytes": source.size, "changed": source.changed}
                rows.append(there[own] | changed)
            upsert(table, rows)
            count += len(rows)
        return count


def _same(row: dict[str, Any] | None, source: Source) -> bool:
    return row is not None and (row["bytes"], row["changed"]) == (source.size, source.changed)


def _under(path: str, roots: Sequence[Path]) -> bool:
    file = path.partition(INSIDE)[0]
    return any(file == str(root) or file.startswith(f"{root}{os.sep}") for root in roots)
