"""What a finished evaluation's folder holds, read when it is asked; and what several say together."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.evaluation.comparing import Contestant, Contrast, Standing, contrasts, standings
from clipcond.evaluation.job import ABOUT, TABLE
from clipcond.evaluation.numbers import Numbers, read_numbers, read_table
from clipcond.evaluation.rows import ERROR
from clipcond.files import read_json
from clipcond.score.provenance import require_same


@dataclass(frozen=True)
class Record:
    """Pictures of prompts and what judges say of them.

    Attributes:
        folder: that holds it: scores.jsonl, evaluation.json, and pictures/ of what was drawn.
    """

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """How it was made, JSON-able."""
        return read_json(self.folder / ABOUT)

    @cached_property
    def numbers(self) -> Numbers:
        """Its numbers."""
        return read_numbers(self.folder / TABLE)

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names of the judges."""
        return tuple(self.numbers.scores)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of what drew."""
        return self.numbers.model_names

    @cached_property
    def failures(self) -> tuple[str, ...]:
        """What is wrong with pictures that have not all their scores, and prompts and models that were left out."""
        rows = (row for row in read_table(self.folder / TABLE) if row[ERROR])
        return (
            *self.about.get("left_out", ()),
            *(f"{row['file']}: {row[ERROR]}" for row in rows),
        )

    @cached_property
    def standings(self) -> list[Standing]:
        """How each model does: mean and 95 % by scorer and category."""
        return standings(contestants([self]), self.scorers)


def compare(evaluations: Sequence[Record], *, baseline: str | None = None) -> list[Contrast]:
    """Every two models of all evaluations compared, or each with a baseline."""
    return contrasts(contestants(evaluations), judges(evaluations), baseline=baseline)


def judges(evaluations: Sequence[Record]) -> tuple[str, ...]:
    """Those that judged any picture in each of them.

    Raises:
        ScoreError: one that judged differently; the message names the difference.
        ClipcondError: there is none.
    """
    common = [
        name
        for name in evaluations[0].scorers
        if all(name in e.about["scorers"] for e in evaluations)
    ]
    if not common:
        own = "; ".join(f"{e.folder} by {', '.join(e.scorers)}" for e in evaluations)
        raise ClipcondError(f"no scorer judged all of them: {own}; score all by the same")
    for name in common:
        require_same([e.about["scorers"][name] for e in evaluations], action="compared")
    return tuple(common)


def contestants(evaluations: Sequence[Record]) -> list[Contestant]:
    """Every model of every evaluation; those of one name are told apart by the folder's.

    Raises:
        ClipcondError: they cannot be told apart.
    """
    every = [(each, model) for each in evaluations for model in each.models]
    names = [model for _, model in every]
    found = [
        Contestant(
            model if names.count(model) == 1 else f"{each.folder.name}/{model}", each.numbers, model
        )
        for each, model in every
    ]
    taken = [each.name for each in found]
    for name in taken:
        if taken.count(name) > 1:
            raise ClipcondError(
                f"{taken.count(name)} models are called {name!r}; compare folders of distinct names"
            )
    return found


def as_json(found: Sequence[Standing] | Sequence[Contrast]) -> list[dict[str, Any]]:
    """For machines; JSON has no infinity."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(each).items()
        }
        for each in found
    ]
