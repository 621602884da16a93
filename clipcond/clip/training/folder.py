"""The folder of a training: one process's at a time, and of one training only."""

import json
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clipcond.clip.training.checkpointing import Checkpoints, write_whole
from clipcond.clip.training.settings import changed
from clipcond.errors import ClipcondError
from clipcond.files import read_json

ABOUT = "training.json"


def open_folder(out: Path, about: dict[str, Any], *, resume: bool) -> FileLock:
    """A training's folder, made or gone on with, locked for this call.

    Args:
        out: the folder.
        about: what the weights depend on, JSON-able; written down, and compared with what is there.
        resume: whether what is there is to be gone on with. Where nothing is there, it begins.

    Raises:
        ClipcondError: another process has it, it holds another training, or one and `resume` is not said.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ClipcondError(
            f"{out}: another process trains there; wait for it, or name another folder"
        ) from None
    except OSError as error:
        raise ClipcondError(
            f"{out}: cannot be written to ({error.strerror}); name another folder"
        ) from error
    try:
        _agree(out, json.loads(json.dumps(about)), resume=resume)
    except ClipcondError:
        lock.release()
        raise
    return lock


def _agree(out: Path, about: dict[str, Any], *, resume: bool) -> None:
    file = out / ABOUT
    if not file.exists():
        if any(entry.name != ".lock" for entry in out.iterdir()):
            raise ClipcondError(
                f"{out}: holds files, and no training; name a new or an empty folder"
            )
        write_whole(file, about)
        return
    if not resume:
        done = Checkpoints(out, 1).newest()
        where = f" that got to step {done.step}" if done else ""
        raise ClipcondError(
            f"{out}: holds a training{where}; go on with it with --resume, or name another folder"
        )
    different = changed(read_json(file), about)
    if different:
        raise ClipcondError(
            f"{out}: holds a training with other settings ({'; '.join(different)}); give it the same, or name another folder"
        )
