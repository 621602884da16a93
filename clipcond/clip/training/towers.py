"""Both towers as one module that is trained: what DDP, FSDP and torch.compile wrap."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import nn

from clipcond.clip.towers import Clip, text_features


class Compared(NamedTuple):
    """What a loss reads: unit features in float32, and what their cosines are scaled and shifted by.

    Attributes:
        image: of the pictures.
        text: of the captions, row by row those of the pictures.
        scale: exp(logit_scale), a scalar.
        bias: added to scaled cosines before a sigmoid (SigLIP), a scalar; None where the model has none.
    """

    image: Float[torch.Tensor, "n dim"]
    text: Float[torch.Tensor, "m dim"]
    scale: Float[torch.Tensor, ""]
    bias: Float[torch.Tensor, ""] | None


class Towers(nn.Module):
    """A CLIP's towers with its logit scale, and a logit bias where its loss has one.

    Args:
        clip: whose weights are trained, in place.
        bias: where a bias that the model does not have itself begins; None for none.
    """

    def __init__(self, clip: Clip, *, bias: float | None = None) -> None:
        super().__init__()
        self.model: Any = clip.model
        self.where = clip.architecture.text.features
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))
        # parts that stay in eval mode, in a tuple so that they are not registered twice
        self.still: tuple[nn.Module, ...] = ()

    def train(self, mode: bool = True) -> "Towers":  # noqa: FBT001, FBT002 as torch has it
        """As torch has it, but for the parts that are not trained."""
        super().train(mode)
        for part in self.still:
            part.eval()
        return self

    @property
    def logit_bias(self) -> torch.Tensor | None:
        """The model's own parameter (SigLIP's), or the one that was added, or None."""
        own: torch.Tensor | None = getattr(self.model, "logit_bias", None)
        return self.bias if own is None else own

    def forward(
        self,
        pixels: Float[torch.Tensor, "n 3 height width"],
        tokens: Int64[torch.Tensor, "m length"],
        ends: Int64[torch.Tensor, " m"],
    ) -> Compared:
        """Features of pictures and captions."""
        # transformers' towers cannot read nothing, which is a process's share of a short step; batch norms must not read a blank
        resnet = hasattr(self.model, "visual")
        shown = pixels if resnet else _some(pixels)
        image = self.model.get_image_features(pixel_values=shown).pooler_output[: len(pixels)]
        text = text_features(self.model, _some(tokens), _some(ends), self.where)[: len(tokens)]
        bias = self.logit_bias
        return Compared(
            _unit(image),
            _unit(text),
            self.model.logit_scale.exp().reshape(()),
            None if bias is None else bias.reshape(()),
        )


def _unit(features: torch.Tensor) -> torch.Tensor:
    """Unit features; half precision is compared in single."""
    whole = features if features.dtype == torch.float64 else features.float()
    return F.normalize(whole, dim=-1)


def _some(rows: torch.Tensor) -> torch.Tensor:
    """The rows, or a blank one where there is none."""
    return rows if len(rows) else rows.new_zeros(1, *rows.shape[1:])
