"""CLIP's text tower as transformers has it, behind one method.

It knows nothing of prompts or weights. It never moves the module: the module may be offloaded, and is always called as
a whole, so that whatever hooks it carries run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from clipcond.encoders.forward import (
    EncoderOutput,
    attention_bias,
    execution_device,
    part_called,
    states_dtype,
)
from clipcond.encoders.inversion import injected
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class ClipTextEncoder:
    """A transformers CLIPTextModel or CLIPTextModelWithProjection (or one that answers like it).

    Attributes:
        module: the model.
        layer: which states it gives: None for the last after the final layer norm, -2 for the last but one.
        skip: how many layers before that to stop ("clip skip"); a fraction lies between two layers.
        vectors: of textual inversions; ids from `FIRST_VECTOR` on are theirs.
    """

    module: Any
    layer: int | None = None
    skip: int | float = 0
    vectors: Float[torch.Tensor, "vectors width"] | None = None

    @property
    def length(self) -> int:
        """Positions of a row."""
        return int(self.module.config.max_position_embeddings)

    @property
    def width(self) -> int:
        """Of an embedding."""
        return int(self.module.config.hidden_size)

    @property
    def most_skipped(self) -> int:
        """The largest `skip`: what is left then are the embeddings, before any layer."""
        return (
            int(self.module.config.num_hidden_layers)
            + 1
            - (1 if self.layer is None else -self.layer)
        )

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module: the layer, and the vectors of textual inversions."""
        vectors = b"" if self.vectors is None else self.vectors.cpu().numpy().tobytes()
        return f"{self.layer} {self.skip}".encode() + vectors

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
        with (
            torch.no_grad(),
            injected(self.module, ids, self.vectors) as known_ids,
        ):
            output = self.module(
                known_ids,
                attention_mask=self._mask(rows, ids, ends),
                output_hidden_states=self.layer is not None or self.skip > 0,
                return_dict=True,
            )
            states = self._states(output)
        row = torch.arange(len(ids), device=ids.device)
        return EncoderOutput(states=states, ends=output.last_hidden_state[row, ends])

    def _states(self, output: Any) -> torch.Tensor:
        """Those of the layer; between two of them, their mixture; under the final layer norm where the last are."""
        if self.layer is None and not self.skip:
            return output.last_hidden_state
        at = (1 if self.layer is None else -self.layer) + self.skip
        whole = math.floor(at)
        states = output.hidden_states[-whole]
        if at > whole:
            states = torch.lerp(states, output.hidden_states[-whole - 1], at - whole)
        if self.layer is not None:
            return states
        # CLIPTextModel has its parts inside text_model up to transformers 5.5, and by itself since
        inner = getattr(self.module, "text_model", self.module)
        return part_called(inner.final_layer_norm, states)

    def _mask(
        self, rows: Sequence[Row], ids: torch.Tensor, ends: torch.Tensor
    ) -> torch.Tensor | None:
        content = None
        if getattr(self.module.config, "use_attention_mask", False):
            positions = torch.arange(ids.shape[1], device=ids.device)
            content = positions <= ends[:, None]
        if not any(row.attention for row in rows):
            return None if content is None else content.long()
        place = {"dtype": states_dtype(self.module), "device": ids.device}
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
        return part_called(projection, ends)
