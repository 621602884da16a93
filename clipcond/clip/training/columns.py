"""Tables of pictures and captions: .csv, .tsv, .jsonl and .parquet."""

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from clipcond.clip.training.rows import (
    BrokenRowError,
    Cells,
    Columns,
    checked,
    excerpt,
    label_of,
    missing,
    read_bytes,
    texts_of,
)
from clipcond.errors import ClipcondError
from clipcond.tables import JSON, Column, read_rows

_OPTIONS = ("--image-column", "--caption-column", "--label-column")
_MOST_NAMES = 100  # of columns in a message
_IN_MEMORY = 8 << 30  # bytes of pictures in a .parquet

# column by column: texts and lists as cells, pictures in a .parquet as Arrow keeps them
Read = tuple[list[Any], dict[int, str]]


class TableSource:
    """The rows of a table; paths in it are relative to its folder.

    Several rows may have one picture, and a cell of .jsonl and .parquet a list of captions. Pictures in a .parquet itself, as
    bytes or as {bytes, path}, are kept in memory, since it cannot be read by rows.

    Raises:
        ClipcondError: the table cannot be read, lacks a column or has no row, or pictures that fill the memory.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, file: Path, columns: Columns) -> None:
        names = [columns.image, columns.caption]
        names += [] if columns.label is None else [columns.label]
        (self._pictures, self._captions, *labels), self._broken = READERS[file.suffix.lower()](
            file, names
        )
        self._labels = labels[0] if labels else None
        self._file, self._columns = file, columns
        if not len(self):
            raise ClipcondError(f"{file}: holds no row; add some")

    def __len__(self) -> int:
        return len(self._captions)

    def name(self, row: int) -> str:
        """The table's name, the row's number from 1, and its path where it has one."""
        cell = self._pictures[row] if isinstance(self._pictures, Cells) else None
        return f"{self._file.name} row {row + 1}{f' ({cell})' if isinstance(cell, str) else ''}"

    def key(self, row: int) -> str:
        """The picture's path as it is written, or a digest of its bytes."""
        if isinstance(self._pictures, Cells):
            return os.path.normpath(self._path(row))
        return content_key(self.picture(row))

    def picture(self, row: int) -> bytes:
        """What the file or the cell holds."""
        if isinstance(self._pictures, Cells):
            path = self._path(row)
            if "://" in path:
                raise BrokenRowError("its picture is an address; download the pictures first")
            return read_bytes(self._file.parent / path)
        where = f"the column {self._columns.image!r}"
        return bytes_of(self._pictures[row].as_py(), self._file.parent, where)

    def captions(self, row: int) -> tuple[str, ...]:
        """The cell's texts."""
        self._check(row)
        return texts_of(self._captions[row], f"the column {self._columns.caption!r}")

    def label(self, row: int) -> str | None:
        """The cell's text."""
        return None if self._labels is None else label_of(self._labels[row])

    def _path(self, row: int) -> str:
        self._check(row)
        cell = self._pictures[row]
        if not isinstance(cell, str) or not cell.strip():
            raise BrokenRowError(
                f"has no path in the column {self._columns.image!r}, but {excerpt(cell)}"
            )
        return cell

    def _check(self, row: int) -> None:
        if row in self._broken:
            raise BrokenRowError(self._broken[row])


def bytes_of(cell: object, folder: Path, where: str) -> bytes:
    """The picture in a cell: bytes, or Hugging Face's {bytes, path}, whose path counts where it has no bytes.

    Raises:
        BrokenRowError: there is none.
    """
    if isinstance(cell, dict):
        content, path = cell.get("bytes"), cell.get("path")
        cell = path if content is None else content
    if isinstance(cell, str):
        return read_bytes(folder / cell)
    if not isinstance(cell, bytes):
        raise BrokenRowError(f"has no picture in {where}, but {excerpt(cell)}")
    return checked(cell)


def content_key(content: bytes) -> str:
    """What equal pictures have in common."""
    return blake2b(content, digest_size=16).hexdigest()


def check_names(where: Path | str, found: Sequence[str], wanted: Sequence[str]) -> None:
    """That columns are there.

    Raises:
        ClipcondError: one is not; it names those that are, and the option that names one.
    """
    for name, option in zip(wanted, _OPTIONS, strict=False):
        if name not in found:
            raise ClipcondError(
                f"{where}: has no column {name!r}, but {', '.join(found) or 'none at all'}; name one with {option}"
            )


def _separated(file: Path, names: Sequence[str]) -> Read:
    columns = [Column(*each) for each in zip(names, _OPTIONS, strict=False)]
    cells = [Cells() for _ in names]
    for row in read_rows(file, columns):
        _append(cells, row)
    return list(cells), {}


def _json_lines(file: Path, names: Sequence[str]) -> Read:
    cells = [Cells() for _ in names]
    broken: dict[int, str] = {}
    seen: dict[str, None] = {}
    for number, line in _lines(file):
        try:
            row = JSON.decode(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            row, broken[len(cells[0])] = {}, f"line {number} is no JSON ({error}): {excerpt(line)}"
        if not isinstance(row, dict):
            row, broken[len(cells[0])] = {}, f"line {number} is no object: {excerpt(line)}"
        if len(seen) < _MOST_NAMES:
            seen |= dict.fromkeys(row)
        _append(cells, [row.get(name) for name in names])
    if len(broken) == len(cells[0]) > 0:
        raise ClipcondError(f"{file}: {broken[0]}; write one JSON object a line")
    if len(cells[0]):
        check_names(file, list(seen), names)
    return list(cells), broken


def _append(cells: Sequence[Cells], row: Sequence[object]) -> None:
    for column, value in zip(cells, row, strict=True):
        column.append(value)


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """(number, line) of those that are not blank."""
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, start=1):
                bare = line.strip().removeprefix(b"\xef\xbb\xbf")
                if bare:
                    yield number, bare
    except OSError as error:
        raise ClipcondError(f"{file}: cannot be read ({error.strerror}); check the path") from None


def _parquet(file: Path, names: Sequence[str]) -> Read:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise missing(f"{file}: pyarrow") from None
    try:
        opened = parquet.ParquetFile(file)
        schema = opened.schema_arrow
        check_names(file, schema.names, names)
        image, *texts = names
        kind = schema.field(image).type
        as_texts = pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
        cells = [_cells(opened, name) for name in ([image] if as_texts else []) + texts]
        if as_texts:
            return cells, {}
        _check_size(file, opened, image)
        # no chunk of it may have more than 2 GB, which a column has in one piece
        pictures = opened.read(columns=[image]).column(image)
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ClipcondError(f"{file}: unreadable ({reason}); write or copy it again") from error
    return [pictures, *cells], {}


def _cells(opened: Any, name: str) -> Cells:
    cells = Cells()
    for batch in opened.iter_batches(columns=[name], batch_size=4096):
        for value in batch.column(0).to_pylist():
            cells.append(value)
    return cells


def _check_size(file: Path, opened: Any, image: str) -> None:
    about = opened.metadata
    groups = [about.row_group(place) for place in range(about.num_row_groups)]
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    size = sum(
        each.total_uncompressed_size
        for each in columns
        if each.path_in_schema.split(".")[0] == image
    )
    if size > _IN_MEMORY:
        raise ClipcondError(
            f"{file}: has {size / 2**30:.1f} GB of pictures in the column {image!r}, which are kept in memory, and "
            f"{_IN_MEMORY >> 30} GB are the most; keep the pictures in files or .tar shards, or give "
            "datasets.load_dataset('parquet', ...).save_to_disk(...)"
        )


READERS: dict[str, Callable[[Path, Sequence[str]], Read]] = {
    ".csv": _separated,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".tsv": _separated,
}
