"""CLIP itself: both towers of a checkpoint of any layout, and pictures made ready for the image tower."""

from clipcond.clip.architecture import Architecture
from clipcond.clip.checkpoints.export import save_clip
from clipcond.clip.checkpoints.layouts import hf_from_openclip, openclip_from_hf
from clipcond.clip.checkpoints.loading import load_clip
from clipcond.clip.crops import POLICIES
from clipcond.clip.images import load_picture, split_images
from clipcond.clip.preprocess import RESIZINGS, Preprocessing
from clipcond.clip.towers import Clip, TextFeatures

__all__ = [
    "POLICIES",
    "RESIZINGS",
    "Architecture",
    "Clip",
    "Preprocessing",
    "TextFeatures",
    "hf_from_openclip",
    "load_clip",
    "load_picture",
    "openclip_from_hf",
    "save_clip",
    "split_images",
]
