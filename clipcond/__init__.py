"""clipcond: text conditioning for diffusion models, and the judging of what comes out.

Lazy (PEP 562): importing this package loads neither torch nor any other heavy library. A public name is
imported from its room on first use and stays what it is, whatever submodules are imported later.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipcond import emoji, weighting
    from clipcond.clip.training import train
    from clipcond.conditioning import (
        Conditioner,
        Conditioning,
        EmbeddingCache,
        concat,
        lerp,
        schedule,
        slerp,
    )
    from clipcond.encoders import TextualInversion, apply_loras
    from clipcond.errors import (
        CheckpointError,
        ClipcondError,
        PromptSyntaxError,
        PromptTooLongError,
        ScoreError,
        UnsupportedPipelineError,
    )
    from clipcond.evaluation import Evaluation, Setting, evaluate
    from clipcond.generation import generate
    from clipcond.hooks.guiding import guidance
    from clipcond.hooks.maps import attention_maps
    from clipcond.hooks.region import Region
    from clipcond.precompute import load_embeddings
    from clipcond.prompt import convert, expand, parse
    from clipcond.score import ClipScorer, rerank, zero_shot
    from clipcond.search import Index

__version__ = "0.1.0"

# public name -> the module that defines it; None: the name is itself a submodule
_HOMES: dict[str, str | None] = {
    "CheckpointError": "clipcond.errors",
    "ClipScorer": "clipcond.score",
    "ClipcondError": "clipcond.errors",
    "Conditioner": "clipcond.conditioning",
    "Conditioning": "clipcond.conditioning",
    "EmbeddingCache": "clipcond.conditioning",
    "Evaluation": "clipcond.evaluation",
    "Index": "clipcond.search",
    "PromptSyntaxError": "clipcond.errors",
    "PromptTooLongError": "clipcond.errors",
    "Region": "clipcond.hooks.region",
    "ScoreError": "clipcond.errors",
    "Setting": "clipcond.evaluation",
    "TextualInversion": "clipcond.encoders",
    "UnsupportedPipelineError": "clipcond.errors",
    "apply_loras": "clipcond.encoders",
    "attention_maps": "clipcond.hooks.maps",
    "concat": "clipcond.conditioning",
    "convert": "clipcond.prompt",
    "emoji": None,
    "evaluate": "clipcond.evaluation",
    "expand": "clipcond.prompt",
    "generate": "clipcond.generation",
    "guidance": "clipcond.hooks.guiding",
    "lerp": "clipcond.conditioning",
    "load_embeddings": "clipcond.precompute",
    "parse": "clipcond.prompt",
    "rerank": "clipcond.score",
    "schedule": "clipcond.conditioning",
    "slerp": "clipcond.conditioning",
    "train": "clipcond.clip.training",
    "weighting": None,
    "zero_shot": "clipcond.score",
}

__all__ = [
    "CheckpointError",
    "ClipScorer",
    "ClipcondError",
    "Conditioner",
    "Conditioning",
    "EmbeddingCache",
    "Evaluation",
    "Index",
    "PromptSyntaxError",
    "PromptTooLongError",
    "Region",
    "ScoreError",
    "Setting",
    "TextualInversion",
    "UnsupportedPipelineError",
    "apply_loras",
    "attention_maps",
    "concat",
    "convert",
    "emoji",
    "evaluate",
    "expand",
    "generate",
    "guidance",
    "lerp",
    "load_embeddings",
    "parse",
    "rerank",
    "schedule",
    "slerp",
    "train",
    "weighting",
    "zero_shot",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'clipcond' has no attribute {name!r}")
    home = _HOMES[name]
    value = (
        importlib.import_module(f"clipcond.{name}")
        if home is None
        else getattr(importlib.import_module(home), name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name, loaded or not."""
    return sorted({*globals(), *__all__})
