"""Judging: how well pictures match prompts, and which match best.

A CLIP score alone is a weak proxy of what people prefer (about 60 % pairwise agreement) and has no absolute
scale: compare pictures of one prompt by one scorer, nothing else.
"""

from clipcond.score.calibration import Calibrated, calibrate
from clipcond.score.clauses import Clause, ClauseTable, split_clauses
from clipcond.score.ranking import Ranking, Scorer, rank, rerank
from clipcond.score.results import Scores, compare, join
from clipcond.score.scorer import ClipScorer
from clipcond.score.statistics import Comparison, Interval, compare_paired, interval, required_n
from clipcond.score.variants import VARIANTS, Variant

__all__ = [
    "VARIANTS",
    "Calibrated",
    "Clause",
    "ClauseTable",
    "ClipScorer",
    "Comparison",
    "Interval",
    "Ranking",
    "Scorer",
    "Scores",
    "Variant",
    "calibrate",
    "compare",
    "compare_paired",
    "interval",
    "join",
    "rank",
    "required_n",
    "rerank",
    "split_clauses",
]
