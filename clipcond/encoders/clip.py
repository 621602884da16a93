"""CLIP's text tower as transformers has it, behind one method.

It knows nothing of prompts or weights. It never moves the module and never reads its parameters: the module may be
offloaded, and is always called as a whole, so that whatever hooks it carries run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

Row = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOutput:
    """What one forward gave.

    Attributes:
        states: the last hidden states after the final layer norm, one row each, in the encoder's dtype.
    """

    states: Float[torch.Tensor, "rows tokens dim"]


@dataclass(frozen=True, slots=True, eq=False)
class ClipTextEncoder:
    """A transformers CLIPTextModel (or one that answers like it).

    Attributes:
        module: the model.
    """

    module: Any

    @property
    def length(self) -> int:
        """Positions of a row."""
        return int(self.module.config.max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where a forward takes its inputs: with accelerate's offloading, not where the weights are."""
        for module in self.module.modules():
            device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
            if device is not None:
                return torch.device(device)
        return torch.device(self.module.device)

    def encode(self, rows: Sequence[Row], *, eos: int) -> EncoderOutput:
        """Encode every row in one forward, without gradients.

        Args:
            rows: ids, all of one length, at most `length`.
            eos: the id that ends a row's content; where the model's configuration asks for an attention mask,
                what follows its first occurrence is masked.
        """
        ids = torch.tensor(rows, device=self.device)
        mask = None
        if getattr(self.module.config, "use_attention_mask", False):
            ended = (ids == eos).cumsum(1)
            mask = ((ended == 0) | ((ended == 1) & (ids == eos))).long()
        with torch.no_grad():
            output = self.module(ids, attention_mask=mask, return_dict=True)
        return EncoderOutput(states=output.last_hidden_state)
