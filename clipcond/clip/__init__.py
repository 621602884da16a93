"""CLIP itself: both towers of a checkpoint folder, and pictures made ready for the image tower."""

from clipcond.clip.checkpoint import load_clip
from clipcond.clip.images import load_picture, split_images
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.towers import Clip, TextFeatures

__all__ = ["Clip", "Preprocessing", "TextFeatures", "load_clip", "load_picture", "split_images"]
