"""`clipcond parse`: how a prompt is read, without loading any model."""

import argparse

from clipcond.cli.terminal import note, write_json, write_table
from clipcond.prompt import parse


def run(arguments: argparse.Namespace) -> int:
    """Print the segments; diagnostics go to standard error."""
    prompt = parse(arguments.text, dialect=arguments.dialect)
    segments = prompt.segments(step=0, steps=arguments.steps)
    for diagnostic in prompt.diagnostics:
        hint = f" ({diagnostic.hint})" if diagnostic.hint else ""
        note(f"at character {diagnostic.span[0]}: {diagnostic.message}{hint}")
    if arguments.json:
        write_json({"segments": [[segment.text, segment.weight] for segment in segments]})
    else:
        write_table(["weight", "text"], [[f"{s.weight:.4g}", s.text] for s in segments])
    return 0
