"""Several scorers as one: each prompt's scores brought to mean 0 and deviation 1, then weighed and added.

Scorers differ in range by two orders of magnitude, so raw scores cannot be added; and a z over all prompts together
would let easy prompts outweigh hard ones.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float

from clipcond.clip.images import Images
from clipcond.errors import ScoreError
from clipcond.score.features import Prompts, require_finite
from clipcond.score.results import PictureFeatures, Scorer, Scores
from clipcond.score.variants import Variant

_MIXTURE = Variant(name="mixture", scale=1.0, prefix="", clamp_items=False, clamp_mean=False)


class Mixture:
    """A scorer made of scorers. Its scores compare pictures of one prompt within one call, and nothing else.

    Args:
        scorers: at least one.
        weights: one for each; negative ones count against. None: all 1.
    """

    relative = True

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float] | None = None) -> None:
        self.scorers = list(scorers)
        self.weights = [1.0] * len(self.scorers) if weights is None else list(weights)
        if not self.scorers or len(self.weights) != len(self.scorers):
            raise ScoreError(
                f"weights: got {len(self.weights)} for {len(self.scorers)} scorers; pass one for each, at least one"
            )

    def score(self, images: Images, prompts: Prompts) -> Scores:
        """Weighted sum of each scorer's z among the pictures of the same prompt.

        Raises:
            ScoreError: a scorer's score of a picture is not finite.
        """
        found = [scorer.score(images, prompts) for scorer in self.scorers]
        for number, scores in enumerate(found):
            require_finite(scores.values, f"scores of scorers[{number}]")
        count = len(found[0])
        groups = [prompts] * count if isinstance(prompts, str) else list(prompts)
        weighted = (
            weight * _z_by_prompt(scores.values, groups)
            for weight, scores in zip(self.weights, found, strict=True)
        )
        return Scores(
            values=sum(weighted, torch.zeros(count)),
            truncated=torch.stack([scores.truncated for scores in found]).any(0),
            variant=_MIXTURE,
            provenance={
                "variant": _MIXTURE.as_dict(),
                "mixture": [
                    {"weight": weight, "scorer": scores.provenance}
                    for weight, scores in zip(self.weights, found, strict=True)
                ],
            },
            prompts=tuple(groups),
        )

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Of the first scorer that has any.

        Raises:
            ScoreError: none has.
        """
        for scorer in self.scorers:
            if isinstance(scorer, PictureFeatures):
                return scorer.image_features(images)
        raise ScoreError("diversity: no scorer of the mixture has image_features; add a ClipScorer")


def _z_by_prompt(
    values: Float[torch.Tensor, " n"], prompts: Sequence[str]
) -> Float[torch.Tensor, " n"]:
    """Zero for pictures that all score the same."""
    result = torch.zeros_like(values, dtype=torch.float64)
    for prompt in set(prompts):
        own = torch.tensor([p == prompt for p in prompts])
        part = values[own].double()
        deviation = part.std(correction=0)
        result[own] = (part - part.mean()) / deviation if deviation > 0 else 0.0
    return result.float()
