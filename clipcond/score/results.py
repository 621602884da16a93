"""Scores: values that carry how they were made, what gives them, and what may be done with them: mean, interval, join, compare."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float

from clipcond.clip.images import Images
from clipcond.errors import ScoreError
from clipcond.score.provenance import require_same
from clipcond.score.statistics import Comparison, Interval, compare_paired, interval
from clipcond.score.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of image-prompt pairs.

    Attributes:
        values: one score a pair, in the variant's scale.
        truncated: whether a text that the score rests on (the pair's prompt, its references or distractors) was longer
            than the text tower reads, so that its end did not count.
        variant: how the cosine became a score.
        provenance: weights digest, checkpoint name, preprocessing, crop, dtype, versions, variant; JSON-able.
        prompts: the text of each pair; empty where the scorer does not say.
    """

    values: Float[torch.Tensor, " n"]
    truncated: Bool[torch.Tensor, " n"]
    variant: Variant
    provenance: dict[str, Any] = field(repr=False)
    prompts: tuple[str, ...] = field(default=(), repr=False)

    def mean(self) -> float:
        """The mean score, clamped at 0 where the variant does so."""
        mean = self.values.double().mean().item()
        return max(mean, 0.0) if self.variant.clamp_mean else mean

    def interval(self, *, confidence: float = 0.95) -> Interval:
        """Bootstrap interval of the mean over prompts; over pictures where all have one prompt.

        Raises:
            ScoreError: there is but one pair.
        """
        clusters = self.prompts if len(set(self.prompts)) > 1 else None
        found = interval(self.values.double(), clusters, confidence=confidence)
        if not self.variant.clamp_mean:
            return found
        # percentiles of clamped means are clamped percentiles of means
        mean, low, high = (max(value, 0.0) for value in (found.mean, found.low, found.high))
        return replace(found, mean=mean, low=low, high=high)

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.values)


@runtime_checkable
class Scorer(Protocol):
    """Whatever scores pairs; ClipScorer, or your own.

    One whose scores have a meaning only beside those of the same call (`Mixture`) says so by an attribute
    `relative = True`; all candidates then come in one call.
    """

    def score(self, images: Images, prompts: str | Sequence[str]) -> Scores:
        """One score a pair, higher is better."""
        ...


@runtime_checkable
class PictureFeatures(Protocol):
    """Whatever tells what looks alike: ClipScorer, or a scorer on one."""

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Unit features of pictures."""
        ...


def join(parts: Sequence[Scores]) -> Scores:
    """Scores of several calls as one, in order.

    Raises:
        ScoreError: none given, or they were made differently; the message names the difference.
    """
    if not parts:
        raise ScoreError("scores: got none; pass at least one")
    require_same([part.provenance for part in parts], action="joined")
    return Scores(
        values=torch.cat([part.values for part in parts]),
        truncated=torch.cat([part.truncated for part in parts]),
        variant=parts[0].variant,
        provenance=parts[0].provenance,
        prompts=tuple(prompt for part in parts for prompt in part.prompts)
        if all(part.prompts for part in parts)
        else (),
    )


def compare(first: Scores, second: Scores) -> Comparison:
    """Two ways of making pictures, scored on the same prompts in the same order: paired, by prompt.

    Raises:
        ScoreError: they were made differently, or are not of the same prompts.
    """
    require_same([first.provenance, second.provenance], action="compared")
    if len(first) != len(second) or first.prompts != second.prompts:
        raise ScoreError(
            f"got scores of {len(first)} and {len(second)} pairs whose prompts are not the same in the same order; "
            "score both on the same prompts"
        )
    clusters = first.prompts if len(set(first.prompts)) > 1 else None
    return compare_paired(first.values.double(), second.values.double(), clusters)
