"""A causal language model (Llama, Qwen2.5-VL) as transformers has it, behind the same method as CLIP's.

A row begins with ids of the template, the same for all but where a prompt joins them; their states are dropped. Attention is causal, so what
follows a word does not change its state. Padding is not attended to, and each row's states are those that it would have
alone.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from clipcond.encoders.forward import EncoderOutput, attention_bias, config_of, ids_of, text_config
from clipcond.weighting import Row


@dataclass(frozen=True, slots=True, eq=False)
class LanguageEncoder:
    """A transformers LlamaModel, LlamaForCausalLM, Qwen2_5_VLTextModel or Qwen2_5_VLForConditionalGeneration.

    Attributes:
        module: the model.
        layer: which of its hidden states it gives: -1 for the last, -3 for the last but two; several, or for None those of all
            layers, one after the other on the channels.
        prefix: the ids in front of every row that has none of its own.
    """

    module: nn.Module
    layer: int | tuple[int, ...] | None
    prefix: tuple[int, ...] = ()

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module: the layer, and what is in front."""
        return f"{self.layer} {self.prefix}".encode()

    @property
    def layers(self) -> int:
        """How many layers' states it gives."""
        if self.layer is None:
            return int(text_config(config_of(self.module)).num_hidden_layers)
        return 1 if isinstance(self.layer, int) else len(self.layer)

    def encode(self, rows: Sequence[Row], *, eos: int | None, pad: int) -> EncoderOutput:  # noqa: ARG002 none ends all rows
        """Encode every row in one forward, without gradients.

        Args:
            rows: of any lengths; states beyond a row's own end mean nothing.
            eos: of no use here.
            pad: the id that fills up rows; those at a row's end are padding.
        """
        whole = [self._with_prefix(row) for row in rows]
        ids = ids_of(whole, self.module, pad)
        content = (ids != pad).flip(1).cumsum(1).flip(1) > 0  # up to the last that is no padding
        options = {}
        if "logits_to_keep" in inspect.signature(self.module.forward).parameters:
            options["logits_to_keep"] = 1  # nobody reads them
        weighed = any(row.attention for row in whole)
        mask = (
            attention_bias(whole, self.module, content, causal=True) if weighed else content.long()
        )
        with torch.no_grad():
            states = self.module(
                input_ids=ids,
                attention_mask=mask,
                output_hidden_states=True,
                use_cache=False,
                return_dict=True,
                **options,
            ).hidden_states
        return EncoderOutput(states=self._chosen(states)[:, len(self.prefix) :], ends=None)

    def _chosen(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        match self.layer:
            case None:
                return torch.cat(list(states[1:]), -1)
            case int(one):
                return states[one]
            case several:
                return torch.cat([states[layer] for layer in several], -1)

    def _with_prefix(self, row: Row) -> Row:
        before = row.before or self.prefix  # as many of them
        attention = (*[1.0] * len(before), *row.attention) if row.attention else ()
        return Row((*before, *row.ids), attention)
