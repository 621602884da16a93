"""Reranking: the pictures of one prompt, best first (the step that DALL-E's 512 to 32 made known)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float

from clipcond.clip import split_images
from clipcond.clip.images import ImageLike, Images
from clipcond.errors import ScoreError
from clipcond.score.results import Scores


@runtime_checkable
class Scorer(Protocol):
    """Whatever scores pairs; ClipScorer, or your own."""

    def score(self, images: Any, prompts: Any) -> Scores:
        """One score a pair, higher is better."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The best pictures, best first; the three sequences go together.

    Attributes:
        order: positions in the input.
        scores: their scores, falling.
        images: the pictures as they were given.
        truncated: whether the prompt was longer than the scorer reads, so that its end did not count.
        provenance: how the scores were made.
    """

    order: tuple[int, ...]
    scores: Float[torch.Tensor, " kept"]
    images: tuple[ImageLike, ...]
    truncated: bool
    provenance: dict[str, Any] = field(repr=False)


def rerank(images: Images, prompt: str, scorer: Scorer, top_k: int | None = None) -> Ranking:
    """Sort pictures by how well they match one prompt; equal scores keep the input's order.

    The best of many carries the winner's curse: its score is too high an estimate of its quality. Measure the
    gain with another scorer than the one that chose.

    Args:
        images: n pictures, in any form that the scorer takes.
        prompt: the text to match.
        scorer: what scores.
        top_k: how many to keep, 1..n; None keeps all.

    Raises:
        ScoreError: top_k out of range, or a score that is not a number.
    """
    items = split_images(images)
    _check_top_k(top_k, len(items))
    return rank(items, scorer.score(items, [prompt] * len(items)), top_k)


def rank(items: Sequence[ImageLike], scores: Scores, top_k: int | None = None) -> Ranking:
    """Sort pictures by scores that are already there.

    Raises:
        ScoreError: top_k out of range, or a score that is not a number.
    """
    _check_top_k(top_k, len(items))
    undefined = torch.isnan(scores.values).nonzero().flatten().tolist()
    if undefined:
        raise ScoreError(
            f"images[{undefined[0]}] scored NaN ({len(undefined)} of {len(items)} did); it cannot be ranked: "
            "try the scorer in float32"
        )
    order = torch.argsort(scores.values, descending=True, stable=True)[:top_k]
    return Ranking(
        order=tuple(order.tolist()),
        scores=scores.values[order],
        images=tuple(items[i] for i in order.tolist()),
        truncated=bool(scores.truncated.any()),
        provenance=scores.provenance,
    )


def _check_top_k(top_k: int | None, available: int) -> None:
    if top_k is not None and (isinstance(top_k, bool) or not 1 <= top_k <= available):
        raise ScoreError(
            f"top_k: got {top_k!r}; needs an integer from 1 to {available}, the number of images"
        )
