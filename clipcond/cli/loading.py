"""The CLIPs that verbs load: what was typed of them, and a line for whatever had to be assumed."""

from dataclasses import dataclass

import torch

from clipcond.cli.terminal import hush_loading, note
from clipcond.models import pick_device
from clipcond.score import ClipScorer


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """A CLIP, as `arguments.add_scorer` has it."""

    scorer: str
    device: str | None = None
    dtype: str = "float32"
    batch_size: int = 32
    crop: str | None = None
    quick_gelu: bool | None = None
    tokenizer: str | None = None

    def load(self) -> ClipScorer:
        """The scorer.

        Raises:
            CheckpointError: it cannot be read.
            ClipcondError: no such device or crop policy.
        """
        hush_loading("transformers")
        scorer = ClipScorer.from_pretrained(
            self.scorer,
            device=pick_device(self.device),
            dtype=getattr(torch, self.dtype),
            batch_size=self.batch_size,
            crop=self.crop,
            quick_gelu=self.quick_gelu,
            tokenizer=self.tokenizer,
        )
        note_assumed(self.scorer, scorer)
        return scorer


def note_assumed(name: str, scorer: ClipScorer) -> None:
    """A line for each thing that a checkpoint does not say."""
    for line in scorer.clip.assumed:
        note(f"{name}: taken to have {line}")
