"""The work of `clipcond train`: what was typed to `clipcond.train`, and what came of it to the terminal."""

from dataclasses import asdict
from typing import Any

from clipcond.cli.terminal import hush_loading, note, write_json, write_table
from clipcond.cli.train import Request
from clipcond.clip.training import Trained, train
from clipcond.clip.training.distributed import world


def run(request: Request) -> int:
    """Train, and say how good it is; 1 where rows were broken, 130 where it was interrupted."""
    hush_loading("transformers")
    trained = train(request.data, request.out, **keywords(request))
    if world()[0] == 0:  # of processes that were launched together one speaks
        write_json(trained.as_dict()) if request.json else _tell(trained)
    if not trained.finished:
        return 130
    return 1 if trained.broken else 0


def keywords(request: Request) -> dict[str, Any]:
    """What was typed, as `clipcond.train` takes it."""
    groups = (request.of_data, request.of_model, request.of_loop, request.of_keeping)
    typed = {name: value for each in groups for name, value in asdict(each).items()}
    typed["trackers"] = tuple(typed.pop("tracker") or ())
    return typed


def _tell(trained: Trained) -> None:
    rows = trained.rows()
    if rows:
        write_table(
            ["", *rows[0]], [[str(i), *row.values()] for i, row in enumerate(rows, start=1)]
        )
    for line in trained.notes:
        note(line)
