"""T5's encoder (UMT5, mT5) as transformers has it, and BERT, behind the same method as CLIP's.

What it was trained with decides what becomes of the padding. Stable Diffusion 3 and Flux give no mask, so padding is
attended to; PixArt and others mask it, and some set its states to zero as well. What lies beyond a row's own end is
always masked, where rows of different lengths share a forward: each row's states are those that it would have alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from clipcond.encoders.forward import EncoderOutput, attention_bias, execution_device, states_dtype
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class T5TextEncoder:
    """A transformers T5EncoderModel, UMT5EncoderModel or BertModel.

    Attributes:
        module: the model.
        padding: "read" (as any token), "masked", or "zero" (masked, and its states set to zero).
    """

    module: Any
    padding: str = "read"

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module."""
        return self.padding.encode()

    def encode(self, rows: Sequence[Row], *, eos: int, pad: int) -> EncoderOutput:
        """Encode every row in one forward, without gradients.

        Args:
            rows: of any lengths; states beyond a row's own end mean nothing.
            eos: the id that ends a row's content; what follows its first occurrence is padding.
            pad: the id that fills up shorter rows.
        """
        length = max(len(row.ids) for row in rows)
        filled = [(*row.ids, *[pad] * (length - len(row.ids))) for row in rows]
        ids = torch.tensor(filled, device=execution_device(self.module))
        content = torch.zeros(ids.shape, dtype=torch.bool)
        for inside, row in zip(content, rows, strict=True):
            inside[: len(row.ids) if self.padding == "read" else row.ids.index(eos) + 1] = True
        mask = None
        if any(row.attention for row in rows) or not content.all():
            place = {"dtype": states_dtype(self.module), "device": ids.device}
            mask = attention_bias(rows, length, causal=False, place=place)
            outside = ~content[:, None, None, :].to(ids.device)
            mask = mask.masked_fill(outside, torch.finfo(mask.dtype).min)
        with torch.no_grad():
            states = self.module(ids, attention_mask=mask, return_dict=True).last_hidden_state
        if self.padding == "zero":
            states = states * content[:, :, None].to(states)
        return EncoderOutput(states=states, ends=None)
