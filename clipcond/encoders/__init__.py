"""Foreign text encoders, each adapted once: rows of ids in, states out, one forward a call."""

from clipcond.encoders.clip import ClipTextEncoder
from clipcond.encoders.digest import digest
from clipcond.encoders.forward import (
    EncoderOutput,
    batches,
    config_of,
    execution_device,
    joined,
    text_config,
)
from clipcond.encoders.gemma import T5GemmaTextEncoder
from clipcond.encoders.inversion import FIRST_VECTOR, TextualInversion
from clipcond.encoders.language import LanguageEncoder, Layer, Normalize
from clipcond.encoders.lora_loading import apply_loras
from clipcond.encoders.lora_scale import lora_scaled
from clipcond.encoders.t5 import T5TextEncoder
from clipcond.encoders.threads import exclusive

TextEncoder = ClipTextEncoder | T5TextEncoder | T5GemmaTextEncoder | LanguageEncoder

__all__ = [
    "FIRST_VECTOR",
    "ClipTextEncoder",
    "EncoderOutput",
    "LanguageEncoder",
    "Layer",
    "Normalize",
    "T5GemmaTextEncoder",
    "T5TextEncoder",
    "TextEncoder",
    "TextualInversion",
    "apply_loras",
    "batches",
    "config_of",
    "digest",
    "exclusive",
    "execution_device",
    "joined",
    "lora_scaled",
    "text_config",
]
