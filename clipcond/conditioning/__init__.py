"""Prompts to the tensors a denoiser reads: the spine of the library, and its result as a value."""

from clipcond.conditioning.algebra import concat, lerp, slerp
from clipcond.conditioning.cache import EmbeddingCache
from clipcond.conditioning.conditioner import Conditioner
from clipcond.conditioning.keyframes import schedule
from clipcond.conditioning.options import OptionArguments, Options
from clipcond.conditioning.report import (
    EncoderReport,
    EncoderStats,
    PromptReport,
    Report,
    ReportedToken,
    Stats,
)
from clipcond.conditioning.value import Conditioning

__all__ = [
    "Conditioner",
    "Conditioning",
    "EmbeddingCache",
    "EncoderReport",
    "EncoderStats",
    "OptionArguments",
    "Options",
    "PromptReport",
    "Report",
    "ReportedToken",
    "Stats",
    "concat",
    "lerp",
    "schedule",
    "slerp",
]
