"""Writing tables, whole or not at all."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.tables.reading import excerpt, pyarrow_for

Rows = Sequence[Mapping[str, Any]]


def _write_separated(rows: Rows, file: Path, *, separator: str) -> None:
    for value in (value for row in rows for value in row.values() if "\0" in str(value)):
        raise ClipcondError(f"{file}: {excerpt(value)} holds a NUL character; write .jsonl")
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)


def _write_jsonl(rows: Rows, file: Path) -> None:
    with file.open("w", newline="\n", encoding="utf-8") as opened:
        opened.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_parquet(rows: Rows, file: Path) -> None:
    pyarrow, parquet = pyarrow_for(file)
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), file)


_WRITERS: dict[str, Callable[[Rows, Path], None]] = {
    ".csv": partial(_write_separated, separator=","),
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
    ".tsv": partial(_write_separated, separator="\t"),
}


def check_table(file: Path) -> None:
    """Refuse a table that could not be written, before there is anything to write.

    Raises:
        ClipcondError: an unknown ending, a folder that is not there, or Parquet without pyarrow.
    """
    if file.suffix.lower() not in _WRITERS:
        raise ClipcondError(f"{file}: its ending says no table; name a {', '.join(_WRITERS)} file")
    if not file.parent.is_dir():
        raise ClipcondError(f"{file}: there is no folder {file.parent}; make it first")
    if file.suffix.lower() == ".parquet":
        pyarrow_for(file)


def write_rows(rows: Rows, file: Path) -> None:
    """Write rows with the same keys; a file of that name is replaced, whole or not at all.

    Raises:
        ClipcondError: no row, `check_table` refuses the file, a text that is no Unicode, or the disk refuses.
    """
    check_table(file)
    if not rows:
        raise ClipcondError(f"{file}: there is no row to write")
    unfinished = file.with_name(f".{file.name}.partial")
    try:
        _WRITERS[file.suffix.lower()](rows, unfinished)
        unfinished.replace(file)
    except UnicodeEncodeError as error:
        raise ClipcondError(
            f"{file}: {excerpt(error.object)} holds half of a surrogate pair, which no table can hold; rename it"
        ) from None
    except OSError as error:
        raise ClipcondError(
            f"{file}: cannot be written ({error.strerror}); name another file"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
