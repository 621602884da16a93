"""Prompts as long as those of published sets: words that are one token each, as many as a histogram of lengths says.

benchmarks/prompt_lengths.json has how many prompts of PartiPrompts, GenEval, DPG-Bench and T2I-CompBench's validation set have
how many CLIP tokens, begin and end counted.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

_LENGTHS = Path(__file__).parent / "prompt_lengths.json"


def lengths(name: str) -> list[int]:
    """Of every prompt of a set, in an order that is no order."""
    counts = json.loads(_LENGTHS.read_text(encoding="utf-8"))[name]
    listed = [int(tokens) for tokens, count in counts.items() for _ in range(count)]
    return np.random.default_rng(0).permutation(listed).tolist()


def words(tokenizer: Any) -> list[str]:
    """Those of a CLIP vocabulary that are one token: letters only."""
    ends = (token for token in tokenizer.get_vocab() if token.endswith("</w>"))
    return sorted(
        w
        for w in (t.removesuffix("</w>") for t in ends)
        if w.isascii() and w.isalpha() and len(w) > 2
    )


def prompts(tokenizer: Any, own: list[int], *, seed: int = 0) -> list[str]:
    """One for each length: distinct, but where a length has fewer words than it takes."""
    known, rng = words(tokenizer), np.random.default_rng(seed)
    return [" ".join(rng.choice(known, size=max(1, length - 2)).tolist()) for length in own]
