"""Foreign text encoders, each adapted once: rows of ids in, states out, one forward a call."""

from clipcond.encoders.clip import ClipTextEncoder, EncoderOutput

__all__ = ["ClipTextEncoder", "EncoderOutput"]
