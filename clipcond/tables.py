"""Tables as files, by their ending: .csv, .tsv, .jsonl and .parquet, both ways; and .txt with a text a line, to read.

Rows are read one after another, since a file may be larger than memory. A row that does not fit its header, or has no
text where one is wanted, is an error that quotes it. All but Parquet is UTF-8, a byte order mark or none. A line ends at
a line feed (in .csv and .tsv also at a carriage return) and nowhere else: U+2028 and the like belong to the text.
"""

import codecs
import csv
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError

Rows = Sequence[Mapping[str, Any]]

_EXCERPT = 120  # characters of a row in a message
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_LONGEST_FIELD = 2**31 - 1  # characters, the most that csv can be told everywhere
_field_limit = threading.Lock()

# (line that a row begins in, 0 where there are no lines; its values in the columns)
Found = Iterator[tuple[int, Sequence[object]]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read: its name, and the option that names another one, for messages."""

    name: str
    option: str


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
    try:
        for number, (line, values) in enumerate(_READERS[ending](source, columns), start=1):
            yield _texts(source, number, line, columns=columns, values=values)
    except FileNotFoundError:
        raise ClipcondError(f"{source}: no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise ClipcondError(f"{source}: {_undecodable(source)}") from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClipcondError(f"{source}: unreadable after row {number} ({reason})") from error
    if not number:
        names = " and no ".join(column.name for column in columns)
        raise ClipcondError(f"{source}: holds no row, and so holds no {names}; add some")


def _texts(
    source: Path, number: int, line: int, *, columns: Sequence[Column], values: Sequence[object]
) -> tuple[str, ...]:
    """The values of a row, which are to be texts."""
    for column, value in zip(columns, values, strict=True):
        if not isinstance(value, str):
            raise ClipcondError(
                f"{source}: row {number} has no text in the column {column.name!r}, but {_excerpt(value)}"
                f"{f' (line {line})' if line else ''}; leave the row out, or name another column with {column.option}"
            )
    return tuple(value for value in values if isinstance(value, str))


def _lines(source: Path, newline: str) -> Iterator[str]:
    """Lines with their ends; `newline` as `open` takes it."""
    with source.open(encoding="utf-8-sig", newline=newline) as file:
        for number, line in enumerate(file, start=1):
            if "\0" in line:
                raise ClipcondError(
                    f"{source}: line {number} holds a NUL character: {_excerpt(line)}; take it out, or, if the file is UTF-16, save it as UTF-8"
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
                f"line {line} is {_excerpt(text)}: {error}; write one JSON object a line"
            ) from error
        names = list(row) if isinstance(row, dict) else []
        if all(column.name in names for column in columns):
            yield line, [row[column.name] for column in columns]
        elif len(columns) == 1 and not isinstance(row, dict):
            yield line, [row]
        else:
            where = f"{source}: row {number} (line {line})"
            _places(where, names, columns, hint=f" in {_excerpt(row)}")


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
                f"it splits into {_excerpt(fields)}; {repair}"
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
            raise ClipcondError(
                f"{source}: the row that begins in line {line} has a quote that is not closed, or text after a closed "
                f"one ({error}): {_excerpt(_line(source, line))}; quote a value with quotes in it, and double those: "
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
    pyarrow, parquet = _pyarrow(source)
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


def _excerpt(value: object) -> str:
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


def _write_separated(rows: Rows, file: Path, *, separator: str) -> None:
    for value in (value for row in rows for value in row.values() if "\0" in str(value)):
        raise ClipcondError(f"{file}: {_excerpt(value)} holds a NUL character; write .jsonl")
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)


def _write_jsonl(rows: Rows, file: Path) -> None:
    with file.open("w", newline="\n", encoding="utf-8") as opened:
        opened.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_parquet(rows: Rows, file: Path) -> None:
    pyarrow, parquet = _pyarrow(file)
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
        _pyarrow(file)


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
            f"{file}: {_excerpt(error.object)} holds half of a surrogate pair, which no table can hold; rename it"
        ) from None
    except OSError as error:
        raise ClipcondError(
            f"{file}: cannot be written ({error.strerror}); name another file"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _pyarrow(file: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ClipcondError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install pyarrow, or name a .csv or .jsonl file"
        ) from None
    return pyarrow, parquet
