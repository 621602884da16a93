"""Calibration: what a cosine means, against cosines of the same picture with texts that are not its own.

Absolute thresholds do not exist: a matching pair has 0.2 to 0.35 in OpenAI's models, and gibberish 0.2. How far a
score stands out among those of shuffled prompts can be said, for each picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float

from clipcond.clip.images import Images
from clipcond.errors import ScoreError
from clipcond.score.features import (
    ClipFeatures,
    Prompts,
    cut_texts,
    paired,
    require_finite,
    same_to_clip,
)
from clipcond.score.measures import cosine


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Cosines among those of the null: the same picture with other texts.

    Attributes:
        cosine: of the pair.
        z: standard deviations above the null's mean.
        percentile: share of the null below, in percent; ties count half.
        null_size: how many other texts.
        truncated: whether the pair's prompt was cut.
        null_truncated: the texts of the null that were cut.
        provenance: how the cosines were made.
    """

    cosine: Float[torch.Tensor, " n"]
    z: Float[torch.Tensor, " n"]
    percentile: Float[torch.Tensor, " n"]
    null_size: tuple[int, ...]
    truncated: Bool[torch.Tensor, " n"]
    null_truncated: tuple[str, ...]
    provenance: dict[str, Any] = field(repr=False)


def calibrate(
    scorer: ClipFeatures, images: Images, prompts: Prompts, null: Sequence[str] | None = None
) -> Calibrated:
    """Place each pair's cosine among those of its picture with other texts.

    Args:
        scorer: whose CLIP compares.
        images: n pictures.
        prompts: n texts, or one for all.
        null: texts to compare with; None takes the other pairs' prompts (shuffled prompts). A pair's own text
            among them is passed over, in any case and also where it is the same only up to the cut.

    Raises:
        ScoreError: pairs that do not pair, or fewer than two other texts for one.
    """
    items, texts = paired(images, prompts)
    others = list(dict.fromkeys(texts if null is None else null))
    text, other = scorer.text_features(texts), scorer.text_features(others)
    own = same_to_clip(text.features, other.features)
    sizes = (~own).sum(1)
    if int(sizes.min()) < 2:
        raise ScoreError(
            f"null: got {int(sizes.min())} texts other than {texts[int(sizes.argmin())]!r}; "
            "a spread takes two at least, a fair percentile dozens"
        )
    pictures = scorer.image_features(items)
    similar = cosine(pictures, text.features)
    z, percentile = stand_out(similar, pictures @ other.features.T, ~own)
    return Calibrated(
        cosine=similar,
        z=z,
        percentile=percentile,
        null_size=tuple(sizes.tolist()),
        truncated=text.truncated,
        null_truncated=cut_texts(others, other),
        provenance=scorer.provenance,
    )


def stand_out(
    cosine: Float[torch.Tensor, " n"],
    null: Float[torch.Tensor, "n texts"],
    valid: Bool[torch.Tensor, "n texts"] | None = None,
) -> tuple[Float[torch.Tensor, " n"], Float[torch.Tensor, " n"]]:
    """(z, percentile) of each cosine among its row of the null, or the valid ones of it.

    Raises:
        ScoreError: a number that is not finite, which would count as lower than all.
    """
    require_finite(cosine, "cosine")
    require_finite(null, "null")
    if valid is None:
        valid = torch.ones_like(null, dtype=torch.bool)
    count = valid.sum(1)
    kept = torch.where(valid, null, 0).double()
    mean = kept.sum(1) / count
    squares = torch.where(valid, (null - mean[:, None]) ** 2, 0).sum(1)
    deviation = (squares / (count - 1)).sqrt().clamp(min=1e-12)
    below = (valid & (null < cosine[:, None])).sum(1)
    equal = (valid & (null == cosine[:, None])).sum(1)
    percentile = 100 * (below + equal / 2) / count
    return ((cosine - mean) / deviation).float(), percentile.float()
