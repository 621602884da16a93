"""Judging: how well pictures match prompts, and which match best.

A CLIP score alone is a weak proxy of what people prefer (about 60 % pairwise agreement) and has no absolute
scale: compare pictures of one prompt by one scorer, nothing else.
"""

from clipcond.score.calibration import Calibrated, calibrate
from clipcond.score.candidates import Skipped, pictures_in
from clipcond.score.classifier import Classifier
from clipcond.score.clauses import Clause, ClauseTable, split_clauses
from clipcond.score.confusion import Confusion, confusion_of
from clipcond.score.curves import BestOfN, best_of_n
from clipcond.score.features import ClipFeatures
from clipcond.score.held_out import HeldOut, HeldOutSummary, summarise
from clipcond.score.mixture import Mixture
from clipcond.score.pictures import PictureError, of_each_that_can
from clipcond.score.preference import AestheticScorer, PreferenceScorer
from clipcond.score.probe import few_shot, fit_probe
from clipcond.score.ranking import Ranking, rerank
from clipcond.score.results import Scorer, Scores, compare, join
from clipcond.score.scorer import ClipScorer
from clipcond.score.statistics import (
    Comparison,
    Interval,
    compare_paired,
    holm,
    interval,
    required_n,
)
from clipcond.score.variants import VARIANTS, Variant
from clipcond.score.zeroshot import build_classifier, zero_shot

__all__ = [
    "VARIANTS",
    "AestheticScorer",
    "BestOfN",
    "Calibrated",
    "Classifier",
    "Clause",
    "ClauseTable",
    "ClipFeatures",
    "ClipScorer",
    "Comparison",
    "Confusion",
    "HeldOut",
    "HeldOutSummary",
    "Interval",
    "Mixture",
    "PictureError",
    "PreferenceScorer",
    "Ranking",
    "Scorer",
    "Scores",
    "Skipped",
    "Variant",
    "best_of_n",
    "build_classifier",
    "calibrate",
    "compare",
    "compare_paired",
    "confusion_of",
    "few_shot",
    "fit_probe",
    "holm",
    "interval",
    "join",
    "of_each_that_can",
    "pictures_in",
    "required_n",
    "rerank",
    "split_clauses",
    "summarise",
    "zero_shot",
]
