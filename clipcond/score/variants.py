"""The named CLIP scores in use, which differ by scale, prompt prefix and where negatives become zero."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from clipcond.errors import ScoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """How a cosine becomes a score.

    Attributes:
        name: what provenance calls it.
        scale: what the cosine is multiplied by.
        prefix: put before every prompt.
        clamp_items: negative scores become 0, each.
        clamp_mean: a negative mean becomes 0, items stay.
    """

    name: str
    scale: float
    prefix: str
    clamp_items: bool
    clamp_mean: bool

    def of_cosine(self, cosine: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """The score of each cosine."""
        scaled = self.scale * cosine
        return scaled.clamp(min=0) if self.clamp_items else scaled

    def as_dict(self) -> dict[str, object]:
        """For provenance: JSON-able."""
        clamp = "item" if self.clamp_items else "mean" if self.clamp_mean else "none"
        return {"name": self.name, "scale": self.scale, "prefix": self.prefix, "clamp": clamp}


VARIANTS: dict[str, Variant] = {
    # also what clip-score 0.2 and T2I-CompBench report
    "cosine": Variant(name="cosine", scale=1.0, prefix="", clamp_items=False, clamp_mean=False),
    # Hessel et al. 2021, "CLIPScore: A Reference-free Evaluation Metric for Image Captioning"
    "clipscore": Variant(
        name="clipscore", scale=2.5, prefix="A photo depicts ", clamp_items=True, clamp_mean=False
    ),
    # torchmetrics.multimodal.CLIPScore: its docstring clamps each pair, its compute() only the mean
    "torchmetrics": Variant(
        name="torchmetrics", scale=100.0, prefix="", clamp_items=False, clamp_mean=True
    ),
}
"""Every score of a picture and its prompt by its name."""

# Hessel et al. 2021, section 3.1: the harmonic mean of CLIPScore and the best cosine with a reference
REF_CLIPSCORE = Variant(
    name="ref_clipscore", scale=2.5, prefix="A photo depicts ", clamp_items=True, clamp_mean=False
)
# Gal et al. 2021, "StyleGAN-NADA": the cosine of the picture's move with the text's move
DIRECTIONAL = Variant(name="directional", scale=1.0, prefix="", clamp_items=False, clamp_mean=False)
# Xu et al. 2017, "AttnGAN": 1 where the true text is the best of all candidates
R_PRECISION = Variant(name="r_precision", scale=1.0, prefix="", clamp_items=False, clamp_mean=False)
# Wang et al. 2022, "Exploring CLIP for Assessing the Look and Feel of Images"
CLIP_IQA = Variant(name="clip_iqa", scale=100.0, prefix="", clamp_items=False, clamp_mean=False)


def find_variant(name: str) -> Variant:
    """The variant of that name.

    Raises:
        ScoreError: there is none.
    """
    if name not in VARIANTS:
        raise ScoreError(f"variant: got {name!r}; choose one of {', '.join(VARIANTS)}")
    return VARIANTS[name]
