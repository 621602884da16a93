"""T5Gemma's encoders as transformers has them, behind the same method as CLIP's and T5's.

Gemma's tokenizer puts padding in front and no EOS at the end, so content is what is no padding. Some layers see only a
window around each token, which a mask that is given whole has to say as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from clipcond.encoders.forward import (
    EncoderOutput,
    attention_bias,
    config_of,
    ids_of,
    is_eager,
    text_config,
)
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class T5GemmaTextEncoder:
    """A transformers T5GemmaEncoder, T5GemmaEncoderModel or T5Gemma2Encoder; its padding is masked.

    Attributes:
        module: the model.
    """

    module: nn.Module

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module: nothing."""
        return b""

    def encode(self, rows: Sequence[Row], *, eos: int | None, pad: int) -> EncoderOutput:  # noqa: ARG002 none
        """Encode every row in one forward, without gradients.

        Args:
            rows: of any lengths; states beyond a row's own end mean nothing.
            eos: of no use here.
            pad: the id of padding, which no content has.
        """
        lengths = [len(row.ids) for row in rows]
        # behind a row even where its own padding is in front: so it keeps its positions, and its states
        ids = ids_of(rows, self.module, pad)
        mask: torch.Tensor | dict[str, torch.Tensor] = (ids != pad).long()
        if any(row.attention for row in rows) or min(lengths) < max(lengths):
            mask = self._biases(rows, ids, pad)
        with torch.no_grad():
            output = self.module(input_ids=ids, attention_mask=mask, return_dict=True)
        return EncoderOutput(states=output.last_hidden_state, ends=None)

    def _biases(self, rows: Sequence[Row], ids: torch.Tensor, pad: int) -> dict[str, torch.Tensor]:
        """The weights as attention biases, for each kind of layer.

        A token of the padding may see nothing, and then attends to all of its row alike, or to nothing, as the
        implementation has it for masks of its own; never to what fills up the row for a longer one's sake.
        """
        weights = attention_bias(rows, self.module)
        hidden = torch.finfo(weights.dtype).min if is_eager(self.module) else -torch.inf
        positions = torch.arange(ids.shape[1], device=ids.device)
        lengths = torch.tensor([len(row.ids) for row in rows], device=ids.device)
        filling = (positions >= lengths[:, None])[:, None, None, :]
        distance = positions[:, None] - positions  # of a query after a key
        before, after = self._reach
        far = (distance > before) | (-distance > after)
        full = weights.masked_fill((ids == pad)[:, None, None, :], hidden)
        biases = {"full_attention": full, "sliding_attention": full.masked_fill(far, hidden)}
        return {kind: bias.masked_fill(filling, -torch.inf) for kind, bias in biases.items()}

    @property
    def _reach(self) -> tuple[int, int]:
        """How far before and after itself a token sees in a layer with a window."""
        window = int(text_config(config_of(self.module)).sliding_window)
        if hasattr(self.module, "text_model"):  # T5Gemma 2 parts it, T5Gemma has it on either side
            return (window + 1) // 2 - 1, window // 2
        return window, window
