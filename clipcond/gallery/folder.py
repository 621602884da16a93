"""An output folder that receives all its files or none.

Files are written to a hidden folder inside the output folder, which also proves at once that it can be written,
and move out of it when all are there. Names begin with the run's number, so that no earlier run is overwritten.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipcond.errors import ClipcondError

ENDINGS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".gif",
    ".avif",
)  # of pictures
_RUN = re.compile(r"(\d{4,})-")


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """A place to write files for `folder`; they arrive there when the block ends without an exception.

    On an exception the files vanish, as do the folders that were made for them. Existing files of the same name
    are replaced.

    Raises:
        ClipcondError: the folder cannot be made or written, found on entry.
    """
    target = Path(folder)
    made: list[Path] = []
    try:
        made = _missing_parents(target)
        target.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".clipcond-", dir=target))
    except OSError as error:
        _remove_empty(made)
        raise ClipcondError(
            f"{target}: cannot write there ({error.strerror}); name another output folder"
        ) from error
    try:
        yield stage
        for file in sorted(stage.iterdir()):
            file.replace(target / file.name)
        made = []
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        _remove_empty(made)


def next_run(folder: Path) -> int:
    """One more than the highest run number among a folder's files."""
    return 1 + max((int(m[1]) for p in folder.iterdir() if (m := _RUN.match(p.name))), default=0)


def _missing_parents(target: Path) -> list[Path]:
    """The folders that mkdir would make, innermost first."""
    return [path for path in (target, *target.parents) if not path.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for path in folders:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
