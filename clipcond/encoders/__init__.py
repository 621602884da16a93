"""Foreign text encoders, each adapted once: rows of ids in, states out, one forward a call."""

from clipcond.encoders.clip import ClipTextEncoder
from clipcond.encoders.digest import digest
from clipcond.encoders.forward import (
    EncoderOutput,
    batches,
    execution_device,
    joined,
    text_config,
)
from clipcond.encoders.gemma import T5GemmaTextEncoder
from clipcond.encoders.inversion import FIRST_VECTOR, TextualInversion
from clipcond.encoders.language import LanguageEncoder
from clipcond.encoders.lora import lora_scaled
from clipcond.encoders.loras import apply_loras
from clipcond.encoders.t5 import T5TextEncoder
from clipcond.encoders.threads import exclusive

TextEncoder = ClipTextEncoder | T5TextEncoder | T5GemmaTextEncoder | LanguageEncoder

__all__ = [
    "FIRST_VECTOR",
    "ClipTextEncoder",
    "EncoderOutput",
    "LanguageEncoder",
    "T5GemmaTextEncoder",
    "T5TextEncoder",
    "TextEncoder",
    "TextualInversion",
    "apply_loras",
    "batches",
    "digest",
    "exclusive",
    "execution_device",
    "joined",
    "lora_scaled",
    "text_config",
]
