"""Prompts from a table, one after another: the file may be larger than memory."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from clipcond.errors import ClipcondError

Reader = Callable[[Path, str], Iterator[str | None]]  # None: this row has no such text


def read_prompts(source: Path, column: str) -> Iterator[str]:
    """The prompts of a file in order, by its ending.

    Args:
        source: .txt (a prompt a line), .jsonl (objects, or strings), .csv (with a header) or .parquet.
        column: where the prompt is; of no use to .txt.

    Raises:
        ClipcondError: the file cannot be read, or a row has no text in that column; the message names it.
    """
    reader = _READERS.get(source.suffix.lower())
    if reader is None:
        raise ClipcondError(
            f"{source}: its ending says no table; name a {', '.join(_READERS)} file"
        )
    number = 0
    try:
        for number, text in enumerate(reader(source, column), start=1):
            if text is None:
                raise ClipcondError(
                    f"{source}: row {number} has no text in the column {column!r}; name another with --column"
                )
            yield text
    except FileNotFoundError:
        raise ClipcondError(f"{source}: no such file; check the path") from None
    except (OSError, ValueError, csv.Error) as error:
        raise ClipcondError(f"{source}: unreadable after row {number} ({error})") from error
    if not number:
        raise ClipcondError(f"{source}: holds no prompt")


def _lines(source: Path, _column: str) -> Iterator[str]:
    with source.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n").removesuffix("\r")


def _json_lines(source: Path, column: str) -> Iterator[str | None]:
    for line in _lines(source, column):
        if not line.strip():
            continue
        row = json.loads(line)
        text = row.get(column) if isinstance(row, dict) else row
        yield text if isinstance(text, str) else None


def _csv_rows(source: Path, column: str) -> Iterator[str | None]:
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _check_column(source, column, reader.fieldnames or [])
        for row in reader:
            yield row[column]


def _parquet_rows(source: Path, column: str) -> Iterator[str | None]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ClipcondError(
            f"{source}: Parquet needs pyarrow, which is not installed: pip install pyarrow, or name a .jsonl file"
        ) from None
    with source.open("rb") as opened:
        file = parquet.ParquetFile(opened)
        _check_column(source, column, file.schema_arrow.names)
        for batch in file.iter_batches(columns=[column], batch_size=4096):
            for value in batch.column(0):
                text = value.as_py()
                yield text if isinstance(text, str) else None


def _check_column(source: Path, column: str, there: list[str]) -> None:
    if column not in there:
        raise ClipcondError(
            f"{source}: has no column {column!r}, but {', '.join(there) or 'none at all'}; name one with --column"
        )


_READERS: dict[str, Reader] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
}
