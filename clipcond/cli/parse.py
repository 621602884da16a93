"""`clipcond parse`: how a prompt is read, without loading any model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcond.cli.arguments import CHOSEN_BY, DIALECT, WILDCARDS, argument, option
from clipcond.cli.terminal import (
    expanded,
    note,
    note_diagnostics,
    write_heading,
    write_json,
    write_table,
)
from clipcond.cli.values import count, seed
from clipcond.prompt import Prompt, parse
from clipcond.prompt.tree import stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """show how a prompt is read"""

    text: str = argument("TEXT", "the prompt")
    dialect: str = option("D", DIALECT, default="a1111")
    steps: int = option("N", "denoising steps", default=20, type=count)
    wildcards: Path | None = option("DIR", WILDCARDS, type=Path)
    seed: int = option("S", CHOSEN_BY, default=0, type=seed)
    json: bool


def run(request: Request) -> int:
    """Print what the first step of each branch says, and its schedule; diagnostics go to standard error."""
    text = expanded(request.text, request.wildcards, request.seed)
    prompt = parse(text, dialect=request.dialect)
    note_diagnostics(prompt)
    if request.json:
        write_json(_as_json(prompt, request.steps))
        return 0
    for operator, (branch, weight) in zip(_operators(prompt), prompt.branches, strict=True):
        if prompt.joined:
            write_heading(f"{operator}, weight {weight:.4g}")
        segments = branch.segments(step=0, steps=request.steps)
        write_table(["weight", "text"], [[f"{s.weight:.4g}", s.text] for s in segments])
        if branch.is_scheduled:
            note(f"that is the first of {request.steps} steps; the text at each:")
            write_table(["steps", "text"], list(stretches(branch.schedule(request.steps))))
    return 0


def _operators(prompt: Prompt) -> tuple[str, ...]:
    """What joins each branch: a keyword of noise space, or what is done to the embeddings."""
    if prompt.joined == "compose":
        return prompt.operators
    return (prompt.joined,) * len(prompt.branches)


def _as_json(prompt: Prompt, steps: int) -> dict[str, Any]:
    """Segments (null where only the branches have some) and schedule; branches and LoRAs where there are any."""
    schedule = [[last, text] for last, text in prompt.schedule(steps)]
    shown: dict[str, Any]
    if prompt.joined:
        shown = {"segments": None, "schedule": schedule, "joined": prompt.joined}
        shown["branches"] = [
            {"operator": operator, "weight": weight, "text": branch.text, **_as_json(branch, steps)}
            for operator, (branch, weight) in zip(_operators(prompt), prompt.branches, strict=True)
        ]
    else:
        segments = [[s.text, s.weight] for s in prompt.segments(step=0, steps=steps)]
        shown = {"segments": segments, "schedule": schedule}
    if prompt.loras:
        shown["loras"] = [[lora.name, lora.weight] for lora in prompt.loras]
    if prompt.tags:
        shown["tags"] = [[tag.kind, list(tag.positional), dict(tag.named)] for tag in prompt.tags]
    return shown
