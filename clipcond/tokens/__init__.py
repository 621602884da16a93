"""Tokens: ids with weights and places, cut into the encoder's windows by a named policy."""

from clipcond.tokens.chunks import POLICIES, Chunk, Cut, Frame, Token, policy_named, whole
from clipcond.tokens.text import Line, PromptTokenizer, Vectors, lines_of

__all__ = [
    "POLICIES",
    "Chunk",
    "Cut",
    "Frame",
    "Line",
    "PromptTokenizer",
    "Token",
    "Vectors",
    "lines_of",
    "policy_named",
    "whole",
]
