"""Tokens: ids with weights and places, cut into the encoder's windows by a named policy."""

from clipcond.tokens.chunks import POLICIES, Chunk, Cut, Frame, Token, policy_named
from clipcond.tokens.text import ClipTokenizer, Line, lines_of

__all__ = [
    "POLICIES",
    "Chunk",
    "ClipTokenizer",
    "Cut",
    "Frame",
    "Line",
    "Token",
    "lines_of",
    "policy_named",
]
