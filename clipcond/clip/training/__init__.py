"""Contrastive training of both towers: exact gradients at any world size, resumable at any step."""

from clipcond.clip.training.options import Options
from clipcond.clip.training.result import Trained
from clipcond.clip.training.train import train

__all__ = ["Options", "Trained", "train"]
