"""Reading tables, a row after another."""

import codecs
import csv
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError

_EXCERPT = 120  # characters of a row in a message
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_LONGEST_FIELD = 2**31 - 1  # characters, the most that csv can be told everywhere
_field_limit = threading.Lock()

# (line that a row begins in, 0 where there are no lines; its values in the columns)
Found = Iterator[tuple[int, Sequence[object]]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read.

    Attributes:
        name: in the table's header.
        option: that names another one, for messages.
        loose: takes a number as its digits and nothing as an empty text.
    """

    name: str
    option: str
    loose: bool = False


def read_rows(source: Path, columns: Sequence[Column]) -> Iterator[tuple[str, ...]]:
    """The texts in some columns of a table, row by row, in the columns' order.

    Blank lines are no rows, but empty texts in .txt, where a line is a text. A line of .jsonl is an object, or, where
    one column is wanted, a string.

    Args:
        source: .txt (for one column), .jsonl, .csv, .parquet or .tsv.
        columns: at least one.

    Raises:
        ClipcondError: the file cannot be read, holds no row, lacks a column or has it twice, or a row does not fit.
    """
    ending = source.suffix.lower()
    usable = [name for name in _READERS if name != ".txt" or len(columns) == 1]
    if ending not in usable:
        raise ClipcondError(f"{source}: its ending says no table; name a {', '.join(usable)} file")
    number = 0
    with _readable(source, lambda: f" after row {number}"):
        for number, (line, values) in enumerate(_READERS[ending](source, columns), start=1):
            yield _texts(source, number, line, columns=columns, values=values)
    if not number:
        names = " and no ".join(column.name for column in columns)
        raise ClipcondError(f"{source}: holds no row, and so holds no {names}; add some")


def column_names(source: Path) -> tuple[str, ...]:
    """The columns that a table has; none of a .txt, and of a .jsonl those of its first row.

    Raises:
        ClipcondError: it cannot be read.
    """
    ending = source.suffix.lower()
    if ending not in _READERS:
        raise ClipcondError(
            f"{source}: its ending says no table; name a {', '.join(_READERS)} file"
        )
    with _readable(source):
        return tuple(_NAMES[ending](source)) if ending in _NAMES else ()


@contextmanager
def _readable(source: Path, where: Callable[[], str] = str) -> Iterator[None]:
    """What is wrong with a file, in one line."""
    try:
        yield
    except FileNotFoundError:
        raise ClipcondError(f"{source}: no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise ClipcondError(f"{source}: {_undecodable(source)}") from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClipcondError(f"{source}: unreadable{where()} ({reason})") from error


def _texts(
    source: Path, number: int, line: int, *, columns: Sequence[Column], values: Sequence[object]
) -> tuple[str, ...]:
    """The values of a row, which are to be texts."""
    found = [
        str("" if value is None else value)
        if column.loose and (value is None or isinstance(value, int | float))
        else value
        for column, value in zip(columns, values, strict=True)
    ]
    for column, value in zip(columns, found, strict=True):
        if not isinstance(value, str):
            raise ClipcondError(
                f"{source}: row {number} has no text in the column {column.name!r}, but {excerpt(value)}"
                f"{f' (line {line})' if line else ''}; leave the row out, or name another column with {column.option}"
            )
    return tuple(value for value in found if isinstance(value, str))


def _lines(source: Path, newline: str) -> Iterator[str]:
    """Lines with their ends; `newline` as `open` takes it."""
    with source.open(encoding="utf-8-sig", newline=newline) as file:
        for number, line in enumerate(file, start=1):
            if "\0" in line:
                raise ClipcondError(
                    f"{source}: line {number} holds a NUL character: {excerpt(line)}; take it out, or, if the file is UTF-16, save it as UTF-8"
                )
            yield line


def _text_lines(source: Path, _columns: Sequence[Column]) -> Found:
    for number, line in enumerate(_lines(source, "\n"), start=1):
        yield number, [line.removesuffix("\n").removesuffix("\r")]


def _json_lines(source: Path, columns: Sequence[Column]) -> Found:
    number = 0
    for line, text in enumerate(_lines(source, "\n"), start=1):
        if not text.strip():
            continue
        number += 1
        try:
            row = JSON.decode(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"line {line} is {excerpt(text)}: {error}; write one JSON object a line"
            ) from error
        names = list(row) if isinstance(row, dict) else []
        if all(column.name in names for column in columns):
            yield line, [row[column.name] for column in columns]
        elif len(columns) == 1 and not isinstance(row, dict):
            yield line, [row]
        else:
            where = f"{source}: row {number} (line {line})"
            _places(where, names, columns, hint=f" in {excerpt(row)}")


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"names {twice!r} twice")
    return dict(pairs)


JSON = json.JSONDecoder(object_pairs_hook=_each_key_once)  # no key twice in an object


def _separated(source: Path, columns: Sequence[Column], *, separator: str) -> Found:
    rows = _fields(source, separator)
    names = [name.strip() for name in next(rows, (0, []))[1]]
    places = _places(f"{source}:", names, columns, hint=_hint(names, separator))
    for number, (line, fields) in enumerate(rows, start=1):
        if len(fields) != len(names):
            repair = (
                f"put a value that holds {_SEPARATORS[separator]} in quotes"
                if len(fields) > len(names)
                else "give each column a value, if an empty one"
            )
            raise ClipcondError(
                f"{source}: row {number} (line {line}) does not fit the header {_listed(names)}: "
                f"it splits into {excerpt(fields)}; {repair}"
            )
        yield line, [fields[place] for place in places]


def _hint(names: Sequence[str], separator: str) -> str:
    """Why a column may be missing from a header."""
    for other, word in _SEPARATORS.items() if len(names) == 1 else ():
        if other in names[0]:
            return f", which looks separated by {word}: save it with {_SEPARATORS[separator]}"
    return ", which is what its first row says" if names else ""


def _fields(source: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line that it begins in, fields) of each row that is not blank, the header first."""
    reader = csv.reader(
        _lines(source, ""),
        delimiter=separator,
        strict=True,
        skipinitialspace=_blanks_after(source, separator),
    )
    while True:
        line = reader.line_num + 1
        try:
            fields = _next_row(reader)
        except csv.Error as error:
            if (
                separator == "\t" and reader.line_num == line
            ):  # PartiPrompts and Google's tables quote nothing
                yield line, _line(source, line).rstrip("\r\n").split(separator)
                continue
            raise ClipcondError(
                f"{source}: the row that begins in line {line} has a quote that is not closed, or text after a closed "
                f"one ({error}): {excerpt(_line(source, line))}; quote a value with quotes in it, and double those: "
                '"a 5"" disk"'
            ) from None
        if fields is None:
            return
        if fields:
            yield line, fields


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row whatever its length. csv's limit is the whole process's, so it is raised for this row only."""
    with _field_limit:
        before = csv.field_size_limit(_LONGEST_FIELD)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(before)


def _blanks_after(source: Path, separator: str) -> bool:
    """Whether the header has blanks after its separators (`file, prompt`), which then mean nothing in the rows either."""
    names = _next_row(csv.reader([_line(source, 1)], delimiter=separator)) or []
    return any(name.startswith(" ") for name in names[1:])


def _line(source: Path, number: int) -> str:
    """A line by its number from 1, "" behind the end."""
    return next(islice(_lines(source, ""), number - 1, None), "")


def _parquet_rows(source: Path, columns: Sequence[Column]) -> Found:
    pyarrow, parquet = pyarrow_for(source)
    names = [column.name for column in columns]
    with source.open("rb") as opened:
        try:
            file = parquet.ParquetFile(opened)
            _places(f"{source}:", file.schema_arrow.names, columns)
            for batch in file.iter_batches(columns=names, batch_size=4096):
                kept = [batch.column(name).to_pylist() for name in names]
                yield from ((0, values) for values in zip(*kept, strict=True))
        except pyarrow.ArrowException as error:
            raise ValueError(str(error)) from error


def _places(
    where: str, names: Sequence[str], columns: Sequence[Column], *, hint: str = ""
) -> list[int]:
    """Which of the names each column is; an error if it is none or several."""
    for column in columns:
        count = names.count(column.name)
        if not count:
            raise ClipcondError(
                f"{where} has no column {column.name!r}, but {_listed(names) or 'none at all'}{hint}; "
                f"name one with {column.option}"
            )
        if count > 1:
            raise ClipcondError(
                f"{where} has {count} columns {column.name!r} among {_listed(names)}; rename all but one"
            )
    return [names.index(column.name) for column in columns]


def _undecodable(source: Path) -> str:
    """What is wrong with a file that is no UTF-8."""
    repair = "save it as UTF-8 (Excel: CSV UTF-8)"
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return f"is UTF-16, as Excel's Unicode Text is; {repair}"
            try:
                line.decode()
            except UnicodeDecodeError as error:
                near = line[max(0, error.start - 20) : error.end + 20]
                return f"line {number} is not UTF-8, at {near!r}; {repair}"
    return f"is not UTF-8; {repair}"


def excerpt(value: object) -> str:
    """A value in a message: one line, and not all of a long one."""
    return _cut(repr(value))


def _listed(names: Sequence[str]) -> str:
    """Names of columns in a message."""
    return _cut(", ".join(name if name.isprintable() else repr(name) for name in names))


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."


_READERS: dict[str, Callable[[Path, Sequence[Column]], Found]] = {
    ".txt": _text_lines,
    ".jsonl": _json_lines,
    ".csv": partial(_separated, separator=","),
    ".parquet": _parquet_rows,
    ".tsv": partial(_separated, separator="\t"),
}


def _header(source: Path, *, separator: str) -> Sequence[str]:
    return [name.strip() for name in next(_fields(source, separator), (0, []))[1]]


def _first_keys(source: Path) -> Sequence[str]:
    first = next((text for text in _lines(source, "\n") if text.strip()), "{}")
    row = JSON.decode(first)
    return list(row) if isinstance(row, dict) else []


def _schema(source: Path) -> Sequence[str]:
    pyarrow, parquet = pyarrow_for(source)
    try:
        names: Sequence[str] = parquet.read_schema(source).names
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error
    return names


_NAMES: dict[str, Callable[[Path], Sequence[str]]] = {
    ".csv": partial(_header, separator=","),
    ".jsonl": _first_keys,
    ".parquet": _schema,
    ".tsv": partial(_header, separator="\t"),
}


def pyarrow_for(file: Path) -> tuple[Any, Any]:
    """pyarrow and its Parquet.

    Raises:
        ClipcondError: it is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ClipcondError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install pyarrow, or name a .csv or .jsonl file"
        ) from None
    return pyarrow, parquet
