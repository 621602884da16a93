"""Tokens: ids with weights and places, cut into the encoder's windows by a named policy."""

from clipcond.tokens.chunks import (
    POLICIES,
    Chunk,
    Cut,
    Frame,
    Ids,
    Policy,
    Side,
    Token,
    policy_named,
    whole,
)
from clipcond.tokens.glyphs import GlyphTokenizer
from clipcond.tokens.names import Vectors, folded
from clipcond.tokens.template import Template, TemplateTokenizer
from clipcond.tokens.text import Line, PromptTokenizer, lines_of

Tokenizer = PromptTokenizer | TemplateTokenizer | GlyphTokenizer

__all__ = [
    "POLICIES",
    "Chunk",
    "Cut",
    "Frame",
    "GlyphTokenizer",
    "Ids",
    "Line",
    "Policy",
    "PromptTokenizer",
    "Side",
    "Template",
    "TemplateTokenizer",
    "Token",
    "Tokenizer",
    "Vectors",
    "folded",
    "lines_of",
    "policy_named",
    "whole",
]
