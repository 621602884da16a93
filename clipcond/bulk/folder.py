"""A folder that work in bulk fills: of one run alone at a time, and of one kind of work for good."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clipcond.errors import ClipcondError
from clipcond.files import UNFINISHED, write_whole

ABOUT = "about.json"


@contextmanager
def claimed(folder: Path, about: Mapping[str, Any], *, parts: str) -> Iterator[None]:
    """Have a folder alone, with what it is of written down in about.json.

    Args:
        folder: made if need be.
        about: all that the files depend on, JSON-able; those of an earlier run with the same go on.
        parts: pattern of the shards' files, which a folder without about.json must not have.

    Raises:
        ClipcondError: it holds something else, cannot be written to, or another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClipcondError(f"{folder} cannot be made: {error.strerror}") from error
    lock = FileLock(folder / ".lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        raise ClipcondError(f"{folder}: another process is writing to it; wait for it") from None
    except OSError as error:
        raise ClipcondError(f"{folder} cannot be written to: {error.strerror}") from error
    with held:
        _take(folder, dict(about), parts)
        yield


def _take(folder: Path, about: dict[str, Any], parts: str) -> None:
    """Write down what the folder is of, or find it written.

    Raises:
        ClipcondError: it is of something else.
    """
    file = folder / ABOUT
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    except ValueError as error:
        raise ClipcondError(f"{file} is damaged ({error}); name another folder") from error
    if before is None:
        if any(folder.glob(parts)):
            raise ClipcondError(
                f"{folder} holds shards that nothing tells about; name another folder"
            )
        text = json.dumps(about, indent=1)
        write_whole(file, lambda path: path.write_text(text, encoding="utf-8"))
    elif before != json.loads(json.dumps(about)):
        changed = [key for key in about if before.get(key) != about[key]]
        raise ClipcondError(
            f"{folder} holds what was made with other {' and '.join(changed) or 'settings'}; "
            "name another folder, or delete it"
        )
    for left in folder.rglob(f".*{UNFINISHED}"):  # of a run that was killed
        left.unlink(missing_ok=True)
