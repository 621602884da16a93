"""Reading prompts, weights and all: 60 prompts of a dozen to sixty words, of which each third has two words up and two down, as compel
writes them. The peer is compel's own parser, which is made with pyparsing; what both find is compared first."""

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.prompts import prompts
from benchmarks.race import Row, race
from benchmarks.shapes import tokenizer

COUNT = 60
TARGET = 300


def texts() -> list[str]:
    """Tags between commas, as negative prompts have them; every third one weighed."""
    found = []
    for number, text in enumerate(prompts(tokenizer(), [14, 26, 62] * (COUNT // 3 + 1))[:COUNT]):
        words = text.split()
        if number % 3 == 0:
            words[1], words[4] = f"({words[1]})1.3", f"{words[4]}++"
            words[7], words[9] = f"({words[7]})0.7", f"{words[9]}-"
        found.append(", ".join(" ".join(words[i : i + 2]) for i in range(0, len(words), 2)))
    return found


def found_by_compel(parser: Any, text: str) -> list[tuple[str, float]]:
    """What compel finds in a prompt."""
    (prompt,) = parser.parse_conjunction(text).prompts
    return [(fragment.text, fragment.weight) for fragment in prompt.children]


def rows(device: torch.device) -> Iterator[Row]:  # noqa: ARG001 no device is used
    """One: prompts a second."""
    from compel.prompt_parser import PromptParser

    from clipcond import parse

    asked, parser = texts(), PromptParser()
    for text in asked:
        own = [(each.text, each.weight) for each in parse(text, "compel").segments()]
        theirs = [(t, round(w, 9)) for t, w in found_by_compel(parser, text) if t]
        if [(t, round(w, 9)) for t, w in own] != theirs:
            raise SystemExit(f"{text!r} is read differently: {own} and {theirs}")
    yield race(
        "parse/60 prompts/compel",
        lambda: [parse(text, "compel").segments() for text in asked],
        lambda: [parser.parse_conjunction(text) for text in asked],
        count=COUNT,
        unit="prompts/s",
        device=torch.device("cpu"),
        target=TARGET,
    )
