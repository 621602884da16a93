"""T5's encoder as transformers has it, behind the same method as CLIP's.

Padding is attended to, as in training: Stable Diffusion 3 and Flux give T5 no mask, and masking would shift the model.
Only what lies beyond a row's own end is masked, where rows of different lengths share a forward: each row's states are
those that it would have alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from clipcond.encoders.forward import EncoderOutput, attention_bias, execution_device, states_dtype
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class T5TextEncoder:
    """A transformers T5EncoderModel.

    Attributes:
        module: the model.
    """

    module: Any

    settings = b""  # nothing beside the module decides what it gives

    def encode(self, rows: Sequence[Row], *, eos: int, pad: int) -> EncoderOutput:  # noqa: ARG002 as CLIP's
        """Encode every row in one forward, without gradients.

        Args:
            rows: of any lengths; states beyond a row's own end mean nothing.
            eos: of no use here.
            pad: the id that fills up shorter rows.
        """
        length = max(len(row.ids) for row in rows)
        filled = [(*row.ids, *[pad] * (length - len(row.ids))) for row in rows]
        ids = torch.tensor(filled, device=execution_device(self.module))
        mask = None
        if any(row.attention or len(row.ids) < length for row in rows):
            place = {"dtype": states_dtype(self.module), "device": ids.device}
            mask = attention_bias(rows, length, causal=False, place=place)
        with torch.no_grad():
            output = self.module(ids, attention_mask=mask, return_dict=True)
        return EncoderOutput(states=output.last_hidden_state, ends=None)
