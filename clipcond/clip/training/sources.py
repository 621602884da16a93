"""One way into every form of data that a CLIP is trained on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from clipcond.clip.training.archives import ArchiveSource, find_shards
from clipcond.clip.training.columns import READERS, TableSource
from clipcond.clip.training.folders import FolderSource, is_picture
from clipcond.clip.training.huggingface import DatasetSource, is_dataset, is_saved, load_saved
from clipcond.clip.training.rows import BrokenRowError, Columns, Source
from clipcond.errors import ClipcondError

Rows = Int64[np.ndarray, " _"]


def open_source(data: object, columns: Columns) -> Source:
    """Pictures with captions, of whatever form.

    Args:
        data: a folder of pictures, of .tar shards, or that `datasets` saved; a .csv, .tsv, .jsonl, .parquet or .tar file; shards
            as "data/*.tar" or "data/{000..012}.tar"; or a `datasets.Dataset`.
        columns: what the columns are called, where there are columns.

    Raises:
        ClipcondError: nothing there, nothing that can be read, or no row.
    """
    if is_dataset(data):
        return DatasetSource(data, columns, type(data).__name__, Path())
    if not isinstance(data, str | Path):
        raise ClipcondError(
            f"data: got a {type(data).__name__}; pass a path, or a datasets.Dataset"
        )
    path = Path(data)
    if path.is_dir():
        return _open_folder(path, columns)
    if path.suffix.lower() == ".tar":
        return ArchiveSource(find_shards(str(data)), columns)
    if path.suffix.lower() not in READERS:
        kind = "its ending says no data" if path.exists() else "no such file or folder"
        raise ClipcondError(
            f"{data}: {kind}; name a folder, a {', '.join(READERS)} or .tar file, or shards as 'data/*.tar'"
        )
    if not path.is_file():
        raise ClipcondError(f"{data}: no such file; check the path")
    return TableSource(path, columns)


def _open_folder(folder: Path, columns: Columns) -> Source:
    if is_saved(folder):
        return load_saved(folder, columns)
    try:
        names = [file.name for file in folder.iterdir()]
    except OSError as error:
        raise ClipcondError(
            f"{folder}: cannot be read ({error.strerror}); see to its permissions"
        ) from None
    shards = sorted(folder / name for name in names if name.lower().endswith(".tar"))
    if shards and not any(is_picture(name) for name in names):
        return ArchiveSource(shards, columns)
    return FolderSource(folder, columns)


def all_captions(source: Source, rows: Rows) -> Iterator[str]:
    """Every caption of some rows, as a vocabulary is learned from; broken rows have none."""
    for row in rows.tolist():
        try:
            yield from source.captions(row)
        except BrokenRowError:
            continue
