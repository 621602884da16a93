"""Files of tensors and settings, read and written with one clear line for whatever is wrong. Nothing here runs code."""

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from clipcond.errors import CheckpointError, ClipcondError

State = dict[str, torch.Tensor]

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
UNFINISHED = ".partial"  # ending of a file that is being written
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str | Path) -> bool:
    """Whether this looks like "owner/name" and is nothing on this disk."""
    return (
        isinstance(name, str)
        and bool(_HUB_ID.fullmatch(name))
        and not name.endswith(WEIGHT_SUFFIXES)
        and not Path(name).exists()
    )


def download(name: str, patterns: Sequence[str]) -> Path:
    """The hub's snapshot of those files.

    Raises:
        CheckpointError: it is not to be had.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns)))
    # the hub client raises its own, httpx's and OSError subclasses: whatever it was, the folder is not there
    except Exception as error:
        raise CheckpointError(
            f"{name}: no such folder, and not to be had from the hub ({type(error).__name__}: {first_line(error)}); "
            "check the name and the connection"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        CheckpointError: missing, damaged, or another kind of value.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing; copy or download the folder again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file}: not readable as JSON ({first_line(error)}); copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{file}: holds {type(content).__name__}, not an object; download it again"
        )
    return content


def check_safetensors(file: Path) -> None:
    """Read a safetensors file's header and extent.

    Raises:
        CheckpointError: missing, cut short or damaged.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            opened.keys()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file}: not a readable safetensors file ({first_line(error)}); copy or download it again"
        ) from error


def read_safetensors(file: Path) -> State:
    """Every tensor of a safetensors file.

    Raises:
        CheckpointError: missing, cut short or damaged.
    """
    check_safetensors(file)
    return load_file(file)


def save_whole(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file that is there whole or not at all, whenever the process dies.

    Raises:
        ClipcondError: it cannot be written.
    """
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    told = None if metadata is None else dict(metadata)
    write_whole(path, lambda unfinished: save_file(whole, unfinished, told))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is there whole or not at all, whenever the process dies, and whoever else writes the same.

    Args:
        path: what is to be there.
        write: called with the path to write to.

    Raises:
        ClipcondError: the disk refuses.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        write(unfinished)
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClipcondError(f"{path} cannot be written: {reason}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def first_line(error: Exception) -> str:
    """An error in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def some(names: Sequence[str]) -> str:
    """Up to five names, and how many more there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
