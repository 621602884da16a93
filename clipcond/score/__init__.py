"""Judging: how well pictures match prompts, and which match best.

A CLIP score alone is a weak proxy of what people prefer (about 60 % pairwise agreement) and has no absolute
scale: compare pictures of one prompt by one scorer, nothing else.
"""

from clipcond.score.ranking import Ranking, Scorer, rank, rerank
from clipcond.score.scorer import ClipScorer, Scores
from clipcond.score.variants import VARIANTS, Variant

__all__ = ["VARIANTS", "ClipScorer", "Ranking", "Scorer", "Scores", "Variant", "rank", "rerank"]
