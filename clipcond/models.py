"""One door for the names of models: "emoji", folders, files and hub ids, of pipelines and CLIPs alike."""

import json
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version

from clipcond.errors import CheckpointError, ClipcondError
from clipcond.files import check_safetensors
from clipcond.resources import model_folder

SHIPPED = ("emoji", "judge")
_RENAMED = Version("0.42")  # of diffusers, where torch_dtype is dtype at the latest


def locate(name: str | Path) -> str | Path:
    """The shipped folder for "emoji" and "judge", an existing path, or the name itself (a hub id).

    Raises:
        CheckpointError: this installation does not carry the shipped model.
    """
    if name in SHIPPED:
        return model_folder(str(name))
    try:
        return Path(name) if Path(name).exists() else name
    except (OSError, ValueError):  # too long for a path, or with a zero in it
        return name


def is_emoji(location: Path | str) -> bool:
    """Whether this is the shipped model, however it was named."""
    try:
        shipped = model_folder("emoji")
    except CheckpointError:  # an installation without it runs other models all the same
        return False
    return isinstance(location, Path) and location.resolve() == shipped.resolve()


def own_scorer(location: Path | str) -> str:
    """The CLIP that a model folder carries in clip/.

    Raises:
        ClipcondError: it carries none, so that one must be named.
    """
    if isinstance(location, Path) and (location / "clip" / "config.json").is_file():
        return str(location / "clip")
    raise ClipcondError(
        f"--scorer: {location} carries no CLIP of its own in clip/; name a CLIP folder or hub id that ranks"
    )


def load_pipeline(name: str | Path, *, device: torch.device, dtype: torch.dtype) -> Any:
    """Any diffusers pipeline, as `locate` finds it; weights from safetensors only.

    Raises:
        CheckpointError: missing, damaged, or no pipeline; the message names the file where one is to blame.
    """
    import diffusers

    location = locate(name)
    if isinstance(location, Path):
        check_folder(location)
    told = "dtype" if Version(diffusers.__version__) >= _RENAMED else "torch_dtype"
    try:
        pipe = diffusers.DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]  # as diffusers has it
            location,
            **{told: dtype},
            use_safetensors=True,
            local_files_only=isinstance(location, Path),
        )
    # diffusers, the hub client and each component raise what they like; none of it is ours to continue from
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        where = (
            "does not load"
            if isinstance(location, Path)
            else "no such folder, and not to be had from the hub"
        )
        raise CheckpointError(f"{location}: {where} as a diffusers pipeline ({reason})") from error
    return pipe.to(device)


def pick_device(name: str | None) -> torch.device:
    """The named device, or cuda where there is one.

    Raises:
        ClipcondError: there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ClipcondError(f"--device: got {name!r}, which is not here ({reason})") from error
    return device


def check_folder(folder: Path) -> None:
    """Look whether a folder is a diffusers model that can be read, without reading its weights.

    Raises:
        CheckpointError: it is not.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise CheckpointError(f"{folder}: no diffusers folder, since it holds no model_index.json")
    try:
        json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{index}: not readable as JSON ({error}); copy or download it again"
        ) from error
    for weights in sorted(folder.glob("*/*.safetensors")):
        check_safetensors(weights)
