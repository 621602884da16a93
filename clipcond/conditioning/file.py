"""A conditioning as one safetensors file: tensors, and everything else as JSON in its metadata."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from clipcond.errors import CheckpointError
from clipcond.families.inputs import NAMES, Inputs
from clipcond.files import save_whole

_KEY = "clipcond_conditioning"
_VERSIONS = (1, 2)  # what a conditioning without scripts is written as, and one that has some


def write_file(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write it whole or not at all.

    Raises:
        ClipcondError: the folder cannot be written to.
    """
    version = _VERSIONS["scripts" in about]
    save_whole(path, tensors, {_KEY: json.dumps({"version": version, **about})})


def read_file(path: Path, names: Collection[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read it back: tensors by name, those of `names` and the masks that it tells of, and what else was written.

    Raises:
        CheckpointError: it is missing, damaged or another kind of file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as a saved conditioning: {error}") from error
    if not isinstance(about, dict) or about.pop("version", None) not in _VERSIONS:
        raise CheckpointError(
            f"{path} is no saved conditioning of this version of clipcond; save it again with conditioning.save"
        )
    if unknown := set(tensors) - {*names, *about.get("masks", ())}:
        raise CheckpointError(
            f"{path} holds tensors of no conditioning: {', '.join(sorted(unknown))}"
        )
    return tensors, about


def inputs_of(tensors: Mapping[str, torch.Tensor], side: str) -> Inputs:
    """One side's tensors, of all by their promised names."""
    given = {field: tensors.get(f"{side}{name}") for field, name in NAMES.items()}
    return Inputs(
        embeds=tensors[f"{side}prompt_embeds"],
        pooled=given["pooled"],
        mask=given["mask"],
        embeds_2=given["embeds_2"],
        mask_2=given["mask_2"],
    )
