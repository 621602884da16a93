"""CLIP's text tower as transformers has it, behind one method.

It knows nothing of prompts or weights. It never moves the module: the module may be offloaded, and is always called as
a whole, so that whatever hooks it carries run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from clipcond.encoders.forward import EncoderOutput, attention_bias, execution_device
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class ClipTextEncoder:
    """A transformers CLIPTextModel or CLIPTextModelWithProjection (or one that answers like it).

    Attributes:
        module: the model.
        layer: which states it gives: None for the last after the final layer norm, -2 for the last but one.
    """

    module: Any
    layer: int | None = None

    @property
    def length(self) -> int:
        """Positions of a row."""
        return int(self.module.config.max_position_embeddings)

    def encode(self, rows: Sequence[Row], *, eos: int, pad: int) -> EncoderOutput:  # noqa: ARG002 rows are full
        """Encode every row in one forward, without gradients.

        Args:
            rows: of `length` ids or fewer, all of one length.
            eos: the id that ends a row's content; where the model's configuration asks for an attention mask,
                what follows its first occurrence is masked.
            pad: of no use here.
        """
        ids = torch.tensor([row.ids for row in rows], device=execution_device(self.module))
        ends = torch.tensor([row.ids.index(eos) for row in rows], device=ids.device)
        with torch.no_grad():
            output = self.module(
                ids,
                attention_mask=self._mask(rows, ids, ends),
                output_hidden_states=self.layer is not None,
                return_dict=True,
            )
            states = (
                output.last_hidden_state if self.layer is None else output.hidden_states[self.layer]
            )
        row = torch.arange(len(ids), device=ids.device)
        return EncoderOutput(states=states, ends=output.last_hidden_state[row, ends])

    def _mask(
        self, rows: Sequence[Row], ids: torch.Tensor, ends: torch.Tensor
    ) -> torch.Tensor | None:
        content = None
        if getattr(self.module.config, "use_attention_mask", False):
            positions = torch.arange(ids.shape[1], device=ids.device)
            content = positions <= ends[:, None]
        if not any(row.attention for row in rows):
            return None if content is None else content.long()
        place = {"dtype": self.module.dtype, "device": ids.device}
        bias = attention_bias(rows, ids.shape[1], causal=True, place=place)
        if content is not None:
            bias = bias.masked_fill(~content[:, None, None, :], torch.finfo(bias.dtype).min)
        return bias

    def project(
        self, ends: Float[torch.Tensor, "prompts dim"]
    ) -> Float[torch.Tensor, "prompts pooled_dim"]:
        """States at the end of text to pooled vectors, as the model does: projected, or as they are.

        Not left to the model, which pools at its configuration's `eos_token_id`, at the highest id where that is 2, and
        at BOS where there is neither.
        """
        projection = getattr(self.module, "text_projection", None)
        if projection is None:
            return ends
        weight = projection.weight
        with torch.no_grad():
            if weight.is_meta:  # offloaded, with a hook of its own that fetches the weight
                return projection(ends)
            return projection(ends.to(weight.device)).to(ends.device)
