"""Maximal marginal relevance: the next best picture that is not another copy of those taken.

Carbonell and Goldstein 1998, "The Use of MMR". Text-picture and picture-picture cosines live in different ranges, so
both are brought to 0..1 over the pool before they are weighed against each other.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float

from clipcond.clip.images import ImageLike
from clipcond.errors import ScoreError
from clipcond.score.features import require_finite
from clipcond.score.results import PictureFeatures, Scorer

POOL = 10  # candidates considered for each one kept


def spread_out(
    pool: Sequence[tuple[ImageLike, float]], scorer: Scorer, diversity: float, top_k: int | None
) -> list[int]:
    """Places of the chosen in the pool, in the order of choice; the best scored is the first.

    Args:
        pool: (picture, score), best first.
        scorer: its `image_features` say what looks alike.
        diversity: 0 scores only, 1 difference only.
        top_k: how many; None all.

    Raises:
        ScoreError: the scorer has no features of pictures, or they are not finite.
    """
    if not isinstance(scorer, PictureFeatures):
        raise ScoreError(
            f"diversity: {type(scorer).__name__} has no image_features to tell what looks alike; use a ClipScorer"
        )
    if len(pool) < 2:
        return list(range(len(pool)))
    features = scorer.image_features([image for image, _ in pool])
    require_finite(features, "image_features")
    likeness = features @ features.T
    apart = ~torch.eye(len(pool), dtype=torch.bool)
    low, high = likeness[apart].min(), likeness[apart].max()
    likeness = (likeness - low) / (high - low).clamp(min=1e-12)
    relevance = _unit_range(torch.tensor([score for _, score in pool]))
    chosen = [0]
    while len(chosen) < min(len(pool), top_k or len(pool)):
        gain = (1 - diversity) * relevance - diversity * likeness[:, chosen].amax(1)
        gain[chosen] = -torch.inf
        chosen.append(int(gain.argmax()))
    return chosen


def _unit_range(values: Float[torch.Tensor, " n"]) -> Float[torch.Tensor, " n"]:
    return (values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)
