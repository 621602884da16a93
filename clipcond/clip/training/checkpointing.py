"""Checkpoints of a training: whole or not there, the last few kept, enough to go on to the bit.

A checkpoint is what accelerate's `save_state` writes (weights and averages of the optimiser, of every process under FSDP)
beside the step and the minutes spent. Order, captions, crops and dropout depend on the seed and the step alone, so there
is nothing else to remember.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from clipcond.errors import CheckpointError, ClipcondError
from clipcond.files import first_line, read_json

_FOLDER = "checkpoints"
_STATE = "progress.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint that is there."""

    folder: Path
    step: int
    minutes: float


class Checkpoints:
    """The checkpoints of one training.

    Args:
        out: the training's folder.
        keep: how many of the last ones stay.
    """

    def __init__(self, out: Path, keep: int) -> None:
        self.root, self.keep = out / _FOLDER, keep

    def newest(self) -> Saved | None:
        """The one to go on from; None where there is none.

        Raises:
            CheckpointError: its file of progress is damaged.
        """
        folders = self._folders()
        if not folders:
            return None
        content = read_json(folders[-1] / _STATE)
        try:
            return Saved(folder=folders[-1], step=content["step"], minutes=content["minutes"])
        except KeyError as error:
            raise CheckpointError(
                f"{folders[-1] / _STATE}: says nothing of {error}; delete that folder to go on from the one before"
            ) from error

    def save(self, accelerator: Any, *, step: int, minutes: float) -> str | None:
        """Write a checkpoint, called by every process; what was wrong, if it could not be written.

        A disk that is full stops no training: the checkpoint before stays, and the next one is tried.
        """
        partial = self.root / ".partial"
        problem = None
        try:
            if accelerator.is_main_process:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
            accelerator.wait_for_everyone()
            accelerator.save_state(str(partial))
            if accelerator.is_main_process:
                content = {"step": step, "minutes": minutes}
                (partial / _STATE).write_text(json.dumps(content), encoding="utf-8")
        # torch's writer raises RuntimeError for a disk that is full
        except (OSError, SafetensorError, RuntimeError) as error:
            problem = first_line(error)
        if _anywhere(accelerator, problem is not None):
            if accelerator.is_main_process:
                shutil.rmtree(partial, ignore_errors=True)
            return problem or "another process could not write"
        if accelerator.is_main_process:
            self._settle(partial, step)
        accelerator.wait_for_everyone()
        return None

    def load(self, accelerator: Any, saved: Saved) -> None:
        """Put a checkpoint into what the accelerator has prepared.

        Raises:
            CheckpointError: it is damaged, or of another model.
        """
        try:
            accelerator.load_state(str(saved.folder))
        # accelerate, torch and safetensors each have errors of their own for a damaged file
        except Exception as error:
            raise CheckpointError(
                f"{saved.folder}: cannot be gone on from ({first_line(error)}); delete it to go on from the one before"
            ) from error

    def _settle(self, partial: Path, step: int) -> None:
        """Give a whole checkpoint its name, and let the oldest go."""
        place = self.root / f"step-{step:09d}"
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
        for old in self._folders()[: -self.keep]:
            # out of sight at once, so that one that is half deleted is never gone on from
            gone = old.rename(self.root / f".gone-{old.name}")
            shutil.rmtree(gone, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return sorted(self.root.glob("step-*"))


def _anywhere(accelerator: Any, here: bool) -> bool:  # noqa: FBT001
    """Whether something is so in any process."""
    flag = torch.tensor(int(here), device=accelerator.device)
    return bool(accelerator.reduce(flag, reduction="sum") > 0)


def write_whole(file: Path, content: dict[str, Any]) -> None:
    """Write JSON so that it is there whole or as it was.

    Raises:
        ClipcondError: the disk refuses.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise ClipcondError(f"{file}: cannot be written ({error.strerror})") from error
