"""Foreign text encoders, each adapted once: rows of ids in, states out, one forward a call."""

from clipcond.encoders.clip import ClipTextEncoder
from clipcond.encoders.fingerprint import Fingerprint, fingerprint
from clipcond.encoders.forward import EncoderOutput, batches, joined
from clipcond.encoders.t5 import T5TextEncoder

TextEncoder = ClipTextEncoder | T5TextEncoder

__all__ = [
    "ClipTextEncoder",
    "EncoderOutput",
    "Fingerprint",
    "T5TextEncoder",
    "TextEncoder",
    "batches",
    "fingerprint",
    "joined",
]
