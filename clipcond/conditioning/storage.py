"""A conditioning as one safetensors file: tensors, and everything else as JSON in its metadata."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from clipcond.errors import CheckpointError
from clipcond.files import save_whole

_KEY, _VERSION = "clipcond_conditioning", 1


def write_file(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write it whole or not at all.

    Raises:
        ClipcondError: the folder cannot be written to.
    """
    save_whole(path, tensors, {_KEY: json.dumps({"version": _VERSION, **about})})


def read_file(path: Path, names: Collection[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read it back: tensors by name, and what else was written.

    Raises:
        CheckpointError: it is missing, damaged or another kind of file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as a saved conditioning: {error}") from error
    if not isinstance(about, dict) or about.pop("version", None) != _VERSION:
        raise CheckpointError(
            f"{path} is no saved conditioning of this version of clipcond; save it again with conditioning.save"
        )
    if unknown := set(tensors) - set(names):
        raise CheckpointError(
            f"{path} holds tensors of no conditioning: {', '.join(sorted(unknown))}"
        )
    return tensors, about
