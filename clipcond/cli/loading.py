"""The CLIPs that verbs load, and a line for whatever had to be assumed of them."""

import torch

from clipcond.cli.arguments import ClipRequest
from clipcond.cli.terminal import hush_loading, note
from clipcond.models import pick_device
from clipcond.score import ClipScorer


def load_scorer(clip: ClipRequest) -> ClipScorer:
    """The scorer that was asked for.

    Raises:
        CheckpointError: it cannot be read.
        ClipcondError: no such device or crop policy.
    """
    hush_loading("transformers")
    scorer = ClipScorer.from_pretrained(
        clip.scorer,
        device=pick_device(clip.device),
        dtype=getattr(torch, clip.dtype),
        batch_size=clip.batch_size,
        crop=clip.crop,
        resizing=clip.resizing,
        quick_gelu=clip.quick_gelu,
        tokenizer=clip.tokenizer,
    )
    for line in scorer.clip.assumed:
        note(f"{clip.scorer}: taken to have {line}")
    return scorer
