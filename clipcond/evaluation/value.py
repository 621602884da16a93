"""A finished evaluation: its folder, read when it is asked."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.evaluation.columns import Columns, read_columns, read_table
from clipcond.evaluation.comparing import ALL, Contestant, Contrast, Standing, contrasts, standings
from clipcond.evaluation.job import ABOUT, TABLE
from clipcond.evaluation.rows import ERROR
from clipcond.files import read_json
from clipcond.score.provenance import require_same
from clipcond.tables import write_rows

_NEEDS = "is not installed: pip install 'clipcond[evaluate]'"


@dataclass(frozen=True)
class Evaluation:
    """Pictures of prompts and what judges say of them.

    Attributes:
        folder: that holds it: scores.jsonl, evaluation.json, and pictures/ of what was drawn.
    """

    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> "Evaluation":
        """The evaluation that a folder holds.

        Raises:
            ClipcondError: it holds none that is finished.
        """
        found = cls(Path(folder))
        if not (found.folder / ABOUT).is_file():
            raise ClipcondError(
                f"{folder}: holds no finished evaluation; run clipcond evaluate run or pictures with --out {folder}"
            )
        return found

    @cached_property
    def about(self) -> dict[str, Any]:
        """How it was made, JSON-able."""
        return read_json(self.folder / ABOUT)

    @cached_property
    def columns(self) -> Columns:
        """Its numbers."""
        return read_columns(self.folder / TABLE)

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names of the judges."""
        return tuple(self.columns.scores)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of what drew."""
        return self.columns.model_names

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong with pictures that have not all their scores, and prompts and models that were left out."""
        rows = (row for row in read_table(self.folder / TABLE) if row[ERROR])
        return (
            *self.about.get("left_out", ()),
            *(f"{row['file']}: {row[ERROR]}" for row in rows),
        )

    @cached_property
    def table(self) -> Any:
        """A pandas DataFrame with a row a picture."""
        return _pandas().DataFrame(read_table(self.folder / TABLE))

    def summary(self) -> Any:
        """A pandas DataFrame with a row for each model, category and scorer: mean and its 95 % interval over prompts."""
        return _pandas().DataFrame(map(asdict, self.standings()))

    def standings(self) -> list[Standing]:
        """What `summary` tells, as values."""
        return standings(contestants([self]), self.scorers)

    def compare(self, *others: "Evaluation", baseline: str | None = None) -> Any:
        """A pandas DataFrame with a row for each pair of models, category and scorer: difference, test and verdict.

        Args:
            *others: evaluations of the same prompts by the same scorers; none: this one's models with each other.
            baseline: name of a model that the others are compared with; None: all pairs.

        Raises:
            ScoreError: pictures that were scored differently; the message names the difference.
            ClipcondError: fewer than two models, or no prompt in common.
        """
        return _pandas().DataFrame(map(asdict, compare([self, *others], baseline=baseline)))

    def report(self, path: str | Path, *others: "Evaluation", baseline: str | None = None) -> Path:
        """Write one self-contained HTML page about this evaluation, or about it and others.

        Raises:
            ClipcondError: the page cannot be written, or `compare` refuses them.
        """
        from clipcond.evaluation.report import write_report

        return write_report([self, *others], Path(path), baseline=baseline)

    def write(self, file: str | Path) -> None:
        """Write the table as .csv, .tsv, .jsonl or .parquet.

        Raises:
            ClipcondError: it cannot be written.
        """
        write_rows(list(read_table(self.folder / TABLE)), Path(file))

    def __repr__(self) -> str:
        """What it is of, and how the models do."""
        about = self.about
        lines = [f"Evaluation of {about['pictures']:,} pictures in {self.folder}"]
        lines += [
            f"  {s.model}: {s.scorer} {s.mean:.4f} ({s.low:.4f} to {s.high:.4f})"
            for s in self.standings()
            if s.category == ALL
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(self.summary().to_html(index=False, float_format="{:.4f}".format))


def compare(evaluations: Sequence[Evaluation], *, baseline: str | None = None) -> list[Contrast]:
    """What `Evaluation.compare` tells, as values."""
    return contrasts(contestants(evaluations), judges(evaluations), baseline=baseline)


def judges(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Those that judged in all of them.

    Raises:
        ScoreError: one that judged differently; the message names the difference.
        ClipcondError: there is none.
    """
    common = [
        name for name in evaluations[0].scorers if all(name in e.scorers for e in evaluations)
    ]
    if not common:
        own = "; ".join(f"{e.folder} by {', '.join(e.scorers)}" for e in evaluations)
        raise ClipcondError(f"no scorer judged all of them: {own}; score all by the same")
    for name in common:
        made = [e.about["scorers"][name] for e in evaluations if name in e.about["scorers"]]
        require_same(made, action="compared")
    return tuple(common)


def contestants(evaluations: Sequence[Evaluation]) -> list[Contestant]:
    """Every model of every evaluation; those of one name are told apart by the folder's.

    Raises:
        ClipcondError: they cannot be told apart.
    """
    every = [(each, model) for each in evaluations for model in each.models]
    names = [model for _, model in every]
    found = [
        Contestant(
            model if names.count(model) == 1 else f"{each.folder.name}/{model}", each.columns, model
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


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ClipcondError(f"pandas {_NEEDS}") from None
    return pandas


def as_json(found: Sequence[Standing] | Sequence[Contrast]) -> list[dict[str, Any]]:
    """For machines; JSON has no infinity."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(each).items()
        }
        for each in found
    ]
