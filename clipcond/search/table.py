"""The table that an index is: its columns, and how rows get in and out of it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from clipcond.errors import CheckpointError, ClipcondError

TABLE = "pictures"
COLUMNS = (
    "path",
    "bytes",
    "changed",
    "hash",
    "width",
    "height",
    "date",
    "prompt",
    "seed",
    "generator",
)
_AT_ONCE = 500  # texts in a statement
_PROBES, _REFINED = 64, 20


def lancedb_or_refuse() -> Any:
    """LanceDB.

    Raises:
        ClipcondError: it is not installed.
    """
    try:
        import lancedb
    except ImportError:
        raise ClipcondError("search needs LanceDB: pip install 'clipcond[search]'") from None
    return lancedb


def open_table(folder: Path) -> Any:
    """LanceDB's table, as of now.

    Raises:
        CheckpointError: there is none.
    """
    if not _file(folder).is_dir():  # connecting would make the folder
        raise CheckpointError(f"{folder}: holds no index; make one with clipcond search index")
    return lancedb_or_refuse().connect(folder).open_table(TABLE)


def _file(folder: Path) -> Path:
    """Where LanceDB keeps it."""
    return folder / f"{TABLE}.lance"


def make_table(folder: Path, dim: int) -> Any:
    """The table, made if need be, for vectors of so many numbers."""
    import pyarrow as pa

    db = lancedb_or_refuse().connect(folder)
    if _file(folder).is_dir():
        return db.open_table(TABLE)
    text, whole = pa.string(), pa.int64()
    kinds = (text, whole, whole, text, whole, whole, text, text, whole, text)
    columns = [*zip(COLUMNS, kinds, strict=True), ("vector", pa.list_(pa.float32(), dim))]
    return db.create_table(TABLE, schema=pa.schema(columns))


@contextmanager
def _written(folder: object) -> Iterator[None]:
    """What a disk refuses, in one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # as LanceDB has it
        raise ClipcondError(
            f"{folder} cannot be written ({str(error).splitlines()[0][:200]})"
        ) from error


def upsert(table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Write whole rows, each in place of the one with its path.

    Raises:
        ClipcondError: the disk refuses.
    """
    import pyarrow as pa

    if rows:
        data = pa.Table.from_pylist(list(rows), schema=table.schema)
        with _written(table.name):
            table.merge_insert(
                "path"
            ).when_matched_update_all().when_not_matched_insert_all().execute(data)


def add_texts(table: Any, names: Sequence[str]) -> None:
    """Columns of texts that are not there yet."""
    import pyarrow as pa

    new = [name for name in names if name not in table.schema.names]
    if new:
        with _written(table.name):
            table.add_columns(pa.schema([(name, pa.string()) for name in new]))


def change(table: Any, rows: Iterable[dict[str, Any]], *, at_once: int) -> int:
    """Write some columns of rows that are there; how many. Of rows with the same path the last one counts."""
    import pyarrow as pa

    count, left = 0, iter(rows)
    while some := {row["path"]: row for row in islice(left, at_once)}:
        with _written(table.name):
            table.merge_insert("path").when_matched_update_all().execute(
                pa.Table.from_pylist(list(some.values()))
            )
        count += len(some)
    return count


def column(table: Any, name: str) -> list[Any]:
    """All values of a column."""
    found: list[Any] = table.search().select([name]).limit(None).to_arrow().column(name).to_pylist()
    return found


def approximately(search: Any) -> Any:
    """A search that may use an approximate index: how many of its parts are looked at, and candidates that are compared exactly."""
    return search.nprobes(_PROBES).refine_factor(_REFINED)


def by_hash(table: Any, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A row of each content that is there, with all its columns."""
    found: dict[str, dict[str, Any]] = {}
    for some in _quoted(sorted(set(hashes))):
        asked = table.search().where(f"hash IN ({some})")
        found |= {row["hash"]: row for row in asked.limit(None).to_list()}
    return found


def delete(table: Any, paths: Sequence[str]) -> None:
    """Take rows out."""
    for some in _quoted(paths):
        table.delete(f"path IN ({some})")


def _quoted(texts: Sequence[str]) -> Iterator[str]:
    """For SQL, so many at a time."""
    for start in range(0, len(texts), _AT_ONCE):
        yield ", ".join(
            "'" + text.replace("'", "''") + "'" for text in texts[start : start + _AT_ONCE]
        )
