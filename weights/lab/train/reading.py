"""Captions -> token ids, as each text encoder takes them, and ids -> the states that a denoiser reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from weights.lab.train import common

TOKEN_STEP = 11  # captions are padded to a multiple of this, so that few shapes are compiled; CLIP reads seven of it
Reader = Callable[[list[str], int], torch.Tensor]
States = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Padded:
    """One window as short as its captions let it be: for contrastive training.

    Attributes:
        tokenizer: a CLIPTokenizer.
    """

    tokenizer: Any

    def __call__(self, texts: list[str], _windows: int) -> torch.Tensor:
        """Ids [batch, 1, length]."""
        padding = dict(padding=True, pad_to_multiple_of=TOKEN_STEP, return_tensors="pt")
        return self.tokenizer(texts, **padding).input_ids[:, None]


@dataclass(frozen=True)
class Windows:
    """Whole windows of the text encoder's length, each with its own ends, as a pipeline's long prompts have them.

    Attributes:
        tokenizer: a CLIPTokenizer.
    """

    tokenizer: Any

    def __call__(self, texts: list[str], windows: int) -> torch.Tensor:
        """Ids [batch, windows, positions].

        Raises:
            ValueError: a text has more tokens than fit.
        """
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids
        return torch.tensor([self._cut(row, windows) for row in ids])

    def _cut(self, ids: list[int], windows: int) -> list[list[int]]:
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        room = self.tokenizer.model_max_length - 2
        if len(ids) > windows * room:
            raise ValueError(f"{len(ids)} tokens in {windows} windows")
        parts = [ids[room * i : room * (i + 1)] for i in range(windows)]
        return [[bos, *part, eos, *[eos] * (room - len(part))] for part in parts]


class TextStates:
    """Token ids -> CLIP's token states at all positions, as the pipeline computes them."""

    def __init__(self, clip: Any, device: torch.device) -> None:
        self.encoder = clip.text_model.to(device).eval()
        self.device = device

    @torch.no_grad()
    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """States [batch, windows x positions, width] of ids [batch, windows, positions]."""
        with common.autocast(self.device):
            states = self.encoder(tokens.flatten(0, 1)).last_hidden_state
        return states.unflatten(0, tokens.shape[:2]).flatten(1, 2)
