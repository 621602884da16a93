"""CLIP's text tower as transformers has it, behind one method.

It knows nothing of prompts or weights. It never moves the module: the module may be offloaded, and is always called as
a whole, so that whatever hooks it carries run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import nn

from clipcond.encoders.forward import EncoderOutput, attention_bias, config_of, ids_of, part_called
from clipcond.encoders.inversion import injected
from clipcond.encoders.shortened import shortened
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class ClipTextEncoder:
    """A transformers CLIPTextModel or CLIPTextModelWithProjection (or one that answers like it).

    Attributes:
        module: the model.
        layer: which states it gives: None for the last after the final layer norm, -2 for the last but one.
        skip: how many layers before that to stop ("clip skip"); a fraction lies between two layers.
        masked: whether padding is not attended to; else the model's configuration says.
        pooled: whether anybody reads its states at the end of text; if not, layers behind those that are read are not run.
        vectors: of textual inversions; ids from `FIRST_VECTOR` on are theirs.
    """

    module: nn.Module
    layer: int | None = None
    skip: int | float = 0
    masked: bool = False
    pooled: bool = True
    vectors: Float[torch.Tensor, "vectors width"] | None = None

    @property
    def length(self) -> int:
        """Positions of a row."""
        return int(config_of(self.module).max_position_embeddings)

    @property
    def width(self) -> int:
        """Of an embedding."""
        return int(config_of(self.module).hidden_size)

    @property
    def most_skipped(self) -> int:
        """The largest `skip`: what is left then are the embeddings, before any layer."""
        return int(config_of(self.module).num_hidden_layers) + 1 - self._last

    @property
    def _last(self) -> int:
        """Where `layer` is, counted from 1 for the last."""
        return 1 if self.layer is None else -self.layer

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module: the layer, and the vectors of textual inversions."""
        vectors = b"" if self.vectors is None else self.vectors.cpu().numpy().tobytes()
        return f"{self.layer} {self.skip} {self.masked} {self.pooled}".encode() + vectors

    def encode(self, rows: Sequence[Row], *, eos: int | None, pad: int) -> EncoderOutput:
        """Encode every row in one forward, without gradients.

        Args:
            rows: of `length` ids or fewer, all of one length.
            eos: the id that ends a row's content; where the model's configuration asks for an attention mask,
                what follows its first occurrence is masked.
            pad: of no use here, as rows are full.
        """
        ids = ids_of(rows, self.module, pad)
        ends = torch.tensor([row.ids.index(eos) for row in rows], device=ids.device)
        with torch.no_grad(), injected(self.module, ids, self.vectors) as known_ids:
            mask, short = self._mask(rows, ends), self._shortened()
            if short is not None:
                output = short(known_ids, attention_mask=mask, return_dict=True)
                return EncoderOutput(states=output.last_hidden_state, ends=None)
            output = self.module(
                known_ids,
                attention_mask=mask,
                output_hidden_states=self.layer is not None or self.skip > 0,
                return_dict=True,
            )
            states = self._states(output.last_hidden_state, output.hidden_states)
        row = torch.arange(len(ids), device=ids.device)
        found = output.last_hidden_state[row, ends] if self.pooled else None
        return EncoderOutput(states=states, ends=found)

    def _shortened(self) -> nn.Module | None:
        """The model up to the layer that is read, where nobody reads a later one."""
        behind = self._last + self.skip - 1
        if self.pooled or behind == 0 or behind != int(behind):
            return None
        return shortened(self.module, int(behind), norm=self.layer is None)

    def _states(self, last: torch.Tensor, hidden: tuple[torch.Tensor, ...] | None) -> torch.Tensor:
        """Those of the layer; between two of them, their mixture; under the final layer norm where the last are."""
        if hidden is None:
            return last
        at = self._last + self.skip
        whole = math.floor(at)
        states = hidden[-whole]
        if at > whole:
            states = torch.lerp(states, hidden[-whole - 1], at - whole)
        if self.layer is not None:
            return states
        # CLIPTextModel has its parts inside text_model up to transformers 5.5, and by itself since
        inner: nn.Module = getattr(self.module, "text_model", self.module)
        return part_called(inner.get_submodule("final_layer_norm"), states)

    def _mask(self, rows: Sequence[Row], ends: Int[torch.Tensor, " rows"]) -> torch.Tensor | None:
        masked = self.masked or getattr(config_of(self.module), "use_attention_mask", False)
        positions = torch.arange(len(rows[0].ids), device=ends.device)
        content = (positions <= ends[:, None]) | (not masked)
        if any(row.attention for row in rows):
            return attention_bias(rows, self.module, content, causal=True)
        return content.long() if masked else None

    def project(
        self, ends: Float[torch.Tensor, "prompts dim"]
    ) -> Float[torch.Tensor, "prompts pooled_dim"]:
        """States at the end of text to pooled vectors, as the model does: projected, or as they are.

        Not left to the model, which pools at its configuration's `eos_token_id`, at the highest id where that is 2, and
        at BOS where there is neither.
        """
        projection = getattr(self.module, "text_projection", None)
        return ends if projection is None else part_called(projection, ends)
