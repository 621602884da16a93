"""Tokens: ids with weights and places, cut into the encoder's windows by a named policy."""

from clipcond.tokens.chunks import POLICIES, Chunk, Cut, Frame, Token, policy_named, whole
from clipcond.tokens.template import GlyphTokenizer, Template, TemplateFrame, TemplateTokenizer
from clipcond.tokens.text import Line, PromptTokenizer, Vectors, folded, lines_of

Tokenizer = PromptTokenizer | TemplateTokenizer | GlyphTokenizer

__all__ = [
    "POLICIES",
    "Chunk",
    "Cut",
    "Frame",
    "GlyphTokenizer",
    "Line",
    "PromptTokenizer",
    "Template",
    "TemplateFrame",
    "TemplateTokenizer",
    "Token",
    "Tokenizer",
    "Vectors",
    "folded",
    "lines_of",
    "policy_named",
    "whole",
]
