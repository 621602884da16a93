"""A causal language model (Llama, Qwen, Gemma, Mistral, GLM) as transformers has it, behind the same method as CLIP's.

Attention is causal, so what follows a word does not change its state. Ids that a row has before it, a template's, are read and
their states dropped.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from clipcond.encoders.forward import EncoderOutput, attention_bias, config_of, ids_of, text_config
from clipcond.tokens import Side
from clipcond.weighting import Row

Normalize = Callable[[torch.Tensor], torch.Tensor]
Layer = int | tuple[int, ...] | Literal["all"] | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LanguageEncoder:
    """A language model of transformers, with or without eyes and a head.

    Attributes:
        module: the model.
        layer: which of its hidden states it gives: -1 for the last, -3 for the last but two; several, for None those of all
            layers, or for "all" the embeddings before them, one after the other on the channels.
        kept: how many of a row's ids come in front of those before it.
        side: where padding is.
        tail: how many ids follow it, where that is the middle.
        masked: whether padding is not attended to.
        normalize: what is done to each layer's states.
        final_norm: whether the last state is behind the model's final norm.
        pictures: what it reads of them with every row, by the names of its arguments.
        pictures_digest: of every bit of that.
    """

    module: nn.Module
    layer: Layer
    kept: int = 0
    side: Side = "right"
    tail: int = 0
    masked: bool = True
    normalize: Normalize | None = None
    final_norm: bool = True
    pictures: Mapping[str, torch.Tensor] = field(default_factory=dict)
    pictures_digest: str = ""

    @property
    def settings(self) -> bytes:
        """What its results depend on beside the module."""
        done = getattr(self.normalize, "__name__", "")
        asked = (self.layer, self.kept, self.side, self.tail, self.masked, done, self.final_norm)
        return " ".join(map(str, (*asked, self.pictures_digest))).encode()

    @property
    def layers(self) -> int:
        """How many layers' states it gives."""
        if self.layer is None or self.layer == "all":
            count = int(text_config(config_of(self.module)).num_hidden_layers)
            return count + (self.layer == "all")
        return 1 if isinstance(self.layer, int) else len(self.layer)

    def encode(self, rows: Sequence[Row], *, eos: int | None, pad: int) -> EncoderOutput:  # noqa: ARG002 none ends all rows
        """Encode every row in one forward, without gradients.

        Args:
            rows: of one length, with as many ids before each.
            eos: of no use here.
            pad: the id that fills up rows; those where padding is are padding.
        """
        whole = [self._with_before(row) for row in rows]
        ids = ids_of(whole, self.module, pad)
        content = self._content(ids, pad)
        options: dict[str, Any] = {}
        if "logits_to_keep" in inspect.signature(self.module.forward).parameters:
            options["logits_to_keep"] = 1  # nobody reads them
        for name, tensor in self.pictures.items():
            options[name] = tensor.to(ids.device).repeat(len(rows), 1)
        if self.side == "middle":  # padding takes no position, so that what follows it has its own
            options["position_ids"] = (content.long().cumsum(1) - 1).clamp(min=0).expand(3, -1, -1)
        if any(row.attention for row in whole):
            options["attention_mask"] = attention_bias(whole, self.module, content, causal=True)
        elif self.masked:
            options["attention_mask"] = content.long()
        with torch.no_grad(), self._norm_set():
            states = self.module(
                input_ids=ids,
                output_hidden_states=True,
                use_cache=False,
                return_dict=True,
                **options,
            ).hidden_states
        first, dropped = self.kept, len(rows[0].before)
        chosen = self._chosen(states)
        if dropped:
            chosen = torch.cat([chosen[:, :first], chosen[:, first + dropped :]], 1)
        return EncoderOutput(states=chosen, ends=None)

    def _content(self, ids: torch.Tensor, pad: int) -> torch.Tensor:
        """Where there is more than padding: a padding token that was typed between words is none."""
        words = ids != pad
        if not self.masked:
            return torch.ones_like(words)
        if self.side == "left":
            return words.cumsum(1) > 0
        end = ids.shape[1] - (self.tail if self.side == "middle" else 0)
        before = words[:, :end].flip(1).cumsum(1).flip(1) > 0  # up to the last that is no padding
        return torch.cat([before, torch.ones_like(words[:, end:])], 1)

    def _chosen(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        match self.layer:
            case None | "all":
                layers: Sequence[int] = range(self.layer is None, len(states))
            case int(one):
                layers = (one,)
            case several:
                layers = several
        found = [states[layer] for layer in layers]
        if self.normalize:
            found = [self.normalize(each) for each in found]
        return found[0] if len(found) == 1 else torch.cat(found, -1)

    @contextmanager
    def _norm_set(self) -> Iterator[None]:
        """Without the final norm where the denoiser was trained so: transformers gives the last state behind it since 5.0."""
        if self.final_norm:
            yield
            return
        model: Any = getattr(self.module, "model", self.module)
        model = getattr(model, "language_model", model)
        handle = model.norm.register_forward_hook(lambda _module, given, _output: given[0])
        try:
            yield
        finally:
            handle.remove()

    def _with_before(self, row: Row) -> Row:
        first, before = self.kept, row.before
        shares = row.attention
        if shares:
            shares = (*shares[:first], *[1.0] * len(before), *shares[first:])
        return Row((*row.ids[:first], *before, *row.ids[first:]), shares)
