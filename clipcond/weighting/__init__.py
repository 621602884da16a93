"""Weighting: what a token's weight does to an encoder's states, by modes with names."""

from clipcond.weighting.mixture import Mixture, Row, mix
from clipcond.weighting.modes import MODES, Mode, mode_named
from clipcond.weighting.normalization import NORMALIZATIONS, check_normalization, normalize
from clipcond.weighting.reference import weigh

__all__ = [
    "MODES",
    "NORMALIZATIONS",
    "Mixture",
    "Mode",
    "Row",
    "check_normalization",
    "mix",
    "mode_named",
    "normalize",
    "weigh",
]
