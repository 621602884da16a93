"""Hugging Face's `datasets`, from a folder or as an object."""

from pathlib import Path
from typing import Any

from clipcond.clip.training.columns import bytes_of, check_names, content_key
from clipcond.clip.training.rows import Columns, label_of, missing, texts_of
from clipcond.errors import ClipcondError

_FOLDER_FILES = ("dataset_info.json", "dataset_dict.json")


class DatasetSource:
    """The rows of a `datasets.Dataset`; its pictures are read as they are encoded.

    Raises:
        ClipcondError: it is a stream or several sets, lacks a column, or has no row.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, data: Any, columns: Columns, source: str, folder: Path) -> None:
        from datasets import Image

        if isinstance(data, dict):
            data = _one(data, source)
        if not hasattr(data, "__len__"):
            raise ClipcondError(
                f"{source}: is read as a stream; load it without streaming=True, so that it can be read in any order"
            )
        names = [columns.image, columns.caption]
        names += [] if columns.label is None else [columns.label]
        check_names(source, data.column_names, names)
        if not len(data):
            raise ClipcondError(f"{source}: holds no row; add some")
        data = data.with_format(None)
        if isinstance(data.features[columns.image], Image):
            data = data.cast_column(columns.image, Image(decode=False))
        self._pictures = data.select_columns([columns.image])
        self._texts = data.select_columns(names[1:])
        self._columns, self._source, self._folder = columns, source, folder

    def __len__(self) -> int:
        return len(self._texts)

    def name(self, row: int) -> str:
        """The set's name and the row's number from 1."""
        return f"{self._source} row {row + 1}"

    def key(self, row: int) -> str:
        """A digest of the picture's bytes."""
        return content_key(self.picture(row))

    def picture(self, row: int) -> bytes:
        """What the cell holds, or the file that it names."""
        name = self._columns.image
        return bytes_of(self._pictures[row][name], self._folder, f"the column {name!r}")

    def captions(self, row: int) -> tuple[str, ...]:
        """The cell's texts."""
        name = self._columns.caption
        return texts_of(self._texts[row][name], f"the column {name!r}")

    def label(self, row: int) -> str | None:
        """The cell's text, or the name of the class that it numbers."""
        name = self._columns.label
        if name is None:
            return None
        value, kind = self._texts[row][name], self._texts.features[name]
        named = hasattr(kind, "int2str") and isinstance(value, int) and value >= 0
        return label_of(kind.int2str(value) if named else value)


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote it."""
    return any((folder / name).is_file() for name in _FOLDER_FILES)


def load_saved(folder: Path, columns: Columns) -> DatasetSource:
    """What `save_to_disk` wrote.

    Raises:
        ClipcondError: `datasets` is not installed, or cannot read it.
    """
    try:
        from datasets import load_from_disk
    except ImportError:
        raise missing(f"{folder}: datasets") from None
    try:
        data = load_from_disk(str(folder))
    # it raises whatever its files make it stumble over
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ClipcondError(
            f"{folder}: datasets cannot read it ({reason}); save it again"
        ) from error
    return DatasetSource(data, columns, str(folder), folder)


def is_dataset(data: object) -> bool:
    """Whether it is one of `datasets`' objects, of one set or of several."""
    return type(data).__module__.split(".")[0] == "datasets"


def _one(sets: dict[str, Any], source: str) -> Any:
    """The only one, or the one called "train"."""
    name = next(iter(sets)) if len(sets) == 1 else "train"
    if name not in sets:
        raise ClipcondError(
            f"{source}: holds {', '.join(sets)}; name one: its folder, or its object"
        )
    return sets[name]
