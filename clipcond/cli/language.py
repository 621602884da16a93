"""`clipcond parse` and `clipcond convert`: how a prompt is read and written, without loading any model."""

import argparse
import sys
import warnings
from typing import Any

from clipcond.cli.terminal import note, write_json, write_table
from clipcond.errors import point_at
from clipcond.prompt import Prompt, convert, expand, parse


def run(arguments: argparse.Namespace) -> int:
    """Run the command; diagnostics go to standard error."""
    return _convert(arguments) if arguments.command == "convert" else _parse(arguments)


def _parse(arguments: argparse.Namespace) -> int:
    """Print what the first step says, and the schedule."""
    prompt = parse(expanded(arguments.text, arguments), dialect=arguments.dialect)
    _note_diagnostics(prompt)
    if arguments.json:
        write_json(_as_json(prompt, arguments.steps))
        return 0
    for number, (branch, weight) in enumerate(prompt.branches, start=1):
        if prompt.joined:
            note(f"branch {number}, weight {weight:.4g}, to {prompt.joined}")
        segments = branch.segments(step=0, steps=arguments.steps)
        write_table(["weight", "text"], [[f"{s.weight:.4g}", s.text] for s in segments])
        if branch.is_scheduled:
            note(f"that is the first of {arguments.steps} steps; the text up to each step:")
            rows = branch.schedule(arguments.steps)
            write_table(["step", "text"], [[str(last), text] for last, text in rows])
    return 0


def expanded(text: str, arguments: argparse.Namespace) -> str:
    """The text with what it leaves open chosen, where --wildcards asks for it, and a note what was chosen."""
    if arguments.wildcards is None:
        return text
    chosen = expand(text, seed=arguments.seed, wildcards=arguments.wildcards)
    if chosen != text:
        note(f"expanded: {chosen}")
    return chosen


def _as_json(prompt: Prompt, steps: int) -> dict[str, Any]:
    """Segments (null where only the branches have some) and schedule; branches and LoRAs where there are any."""
    schedule = [[last, text] for last, text in prompt.schedule(steps)]
    shown: dict[str, Any]
    if prompt.joined:
        branches = [{"weight": w, **_as_json(branch, steps)} for branch, w in prompt.branches]
        shown = {"segments": None, "schedule": schedule, "joined": prompt.joined}
        shown["branches"] = branches
    else:
        segments = [[s.text, s.weight] for s in prompt.segments(step=0, steps=steps)]
        shown = {"segments": segments, "schedule": schedule}
    if prompt.loras:
        shown["loras"] = [[lora.name, lora.weight] for lora in prompt.loras]
    if prompt.tags:
        shown["tags"] = [[tag.kind, list(tag.positional), dict(tag.named)] for tag in prompt.tags]
    return shown


def _convert(arguments: argparse.Namespace) -> int:
    """Print the prompt in the other dialect; what it cannot say goes to standard error."""
    _note_diagnostics(parse(arguments.text, dialect=arguments.dialect))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = convert(arguments.text, arguments.dialect, arguments.to)
    losses = [str(warning.message) for warning in caught]
    for loss in losses:
        note(loss)
    if arguments.json:
        write_json({"text": text, "losses": losses})
    else:
        sys.stdout.write(f"{text}\n")
    return 0


def _note_diagnostics(prompt: Prompt) -> None:
    for diagnostic in prompt.diagnostics:
        hint = f" ({diagnostic.hint})" if diagnostic.hint else ""
        note(f"at character {diagnostic.span[0]}: {diagnostic.message}{hint}")
        note(point_at(prompt.text, diagnostic.span))
