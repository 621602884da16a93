"""T5's encoder (UMT5, mT5) as transformers has it, and BERT, behind the same method as CLIP's.

What it was trained with decides what becomes of the padding. Stable Diffusion 3 and Flux give no mask, so padding is
attended to; PixArt and others mask it, and some set its states to zero as well. What lies beyond a row's own end is
always masked, where rows of different lengths share a forward: each row's states are those that it would have alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from clipcond.encoders.forward import EncoderOutput, attention_bias, ids_of
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class T5TextEncoder:
    """A transformers T5EncoderModel, UMT5EncoderModel or BertModel.

    Attributes:
        module: the model.
        padding: "read" (as any token), "masked", or "zero" (masked, and its states set to zero).
    """

    module: nn.Module
    padding: str = "read"

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module."""
        return self.padding.encode()

    def encode(self, rows: Sequence[Row], *, eos: int | None, pad: int) -> EncoderOutput:
        """Encode every row in one forward, without gradients.

        Args:
            rows: of any lengths; states beyond a row's own end mean nothing.
            eos: the id that ends a row's content; what follows its first occurrence is padding.
            pad: the id that fills up shorter rows.
        """
        ids = ids_of(rows, self.module, pad)
        content = torch.zeros(ids.shape, dtype=torch.bool)
        for inside, row in zip(content, rows, strict=True):
            inside[: len(row.ids) if self.padding == "read" else row.ids.index(eos) + 1] = True
        mask = None
        if any(row.attention for row in rows) or not content.all():
            mask = attention_bias(rows, self.module, content)
        with torch.no_grad():
            states = self.module(ids, attention_mask=mask, return_dict=True).last_hidden_state
        if self.padding == "zero":
            states = states * content[:, :, None].to(states)
        return EncoderOutput(states=states, ends=None)
