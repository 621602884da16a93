"""What a table says of pictures, as columns of the index: captions, ratings, anything by file name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError, printable
from clipcond.search.table import COLUMNS, add_texts, change, column
from clipcond.tables import Column, column_names, read_rows

_HELD = 8192  # rows that are written at a time


def tell(table: Any, source: Path, *, file_column: str = "file") -> tuple[int, tuple[str, ...]]:
    """Write a table's other columns, as texts, to the pictures that it names: by their path beside it, else by their file's name.

    Args:
        table: LanceDB's.
        source: .csv, .tsv, .jsonl or .parquet.
        file_column: that names pictures.

    Returns:
        (pictures that it tells about, files that are not in the index, a line each).

    Raises:
        ClipcondError: it cannot be read, or has a column that the index has of its own.
    """
    names = [name for name in column_names(source) if name != file_column]
    for name in names:
        if name in (*COLUMNS, "vector"):
            raise ClipcondError(
                f"{source}: the index has a column {name!r} of its own; rename this one"
            )
    if not names:
        raise ClipcondError(
            f"{source}: has no column beside {file_column!r}; there is nothing to tell"
        )
    add_texts(table, names)
    paths = column(table, "path")
    whole = set(paths)
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    asked = [
        Column(file_column, "--file-column"),
        *(Column(name, "--file-column", loose=True) for name in names),
    ]
    lacking: list[str] = []

    def rows() -> Iterator[dict[str, Any]]:
        for file, *values in read_rows(source, asked):
            beside = str((source.parent / file).resolve())
            own = [beside] if beside in whole else by_name.get(Path(file).name, [])
            if not own:
                lacking.append(printable(f"{source}: {file}: is not in the index"))
            for path in own:
                yield {"path": path, **dict(zip(names, values, strict=True))}

    told = change(table, rows(), at_once=_HELD)
    return told, tuple(lacking)
