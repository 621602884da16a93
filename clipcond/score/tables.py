"""Tables of results as files: CSV, JSON lines or Parquet, by the file's ending."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipcond.errors import ScoreError

Rows = Sequence[Mapping[str, Any]]


def _write_csv(rows: Rows, file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_jsonl(rows: Rows, file: Path) -> None:
    file.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def _write_parquet(rows: Rows, file: Path) -> None:
    pyarrow, parquet = _pyarrow(file)
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), file)


_WRITERS: dict[str, Callable[[Rows, Path], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def check_table(file: Path) -> None:
    """Refuse a table that could not be written, before there is anything to write.

    Raises:
        ScoreError: an unknown ending, a folder that is not there, or Parquet without pyarrow.
    """
    if file.suffix.lower() not in _WRITERS:
        raise ScoreError(f"{file}: its ending says no table; name a {', '.join(_WRITERS)} file")
    if not file.parent.is_dir():
        raise ScoreError(f"{file}: there is no folder {file.parent}; make it first")
    if file.suffix.lower() == ".parquet":
        _pyarrow(file)


def write_rows(rows: Rows, file: Path) -> None:
    """Write rows with the same keys; a file of that name is replaced, whole or not at all.

    Raises:
        ScoreError: no row, or `check_table` refuses the file, or the disk does.
    """
    check_table(file)
    if not rows:
        raise ScoreError(f"{file}: there is no row to write")
    partial = file.with_name(f".{file.name}.partial")
    try:
        _WRITERS[file.suffix.lower()](rows, partial)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ScoreError(
            f"{file}: cannot be written ({error.strerror}); name another file"
        ) from error


def read_columns(file: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The named columns of a CSV (with a header) or JSON lines file, row by row.

    Raises:
        ScoreError: no such file, another kind, or a row without one of the columns; the message names the line.
    """
    if file.suffix.lower() not in (".csv", ".jsonl"):
        raise ScoreError(f"{file}: its ending says no table; name a .csv or .jsonl file")
    try:
        text = file.read_text(encoding="utf-8")
        rows = (
            list(csv.DictReader(text.splitlines()))
            if file.suffix.lower() == ".csv"
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except FileNotFoundError:
        raise ScoreError(f"{file}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        raise ScoreError(f"{file}: unreadable ({error}); write it as UTF-8 again") from error
    found = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or any(not isinstance(row.get(c), str) for c in columns):
            raise ScoreError(f"{file}: row {number} is {row!r}; needs {' and '.join(columns)}")
        found.append(tuple(row[c] for c in columns))
    if not found:
        raise ScoreError(f"{file}: holds no row; needs {' and '.join(columns)}")
    return found


def _pyarrow(file: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ScoreError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install pyarrow, or name a .csv or .jsonl file"
        ) from None
    return pyarrow, parquet
