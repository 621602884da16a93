"""A finished evaluation as Python and notebooks have it."""

from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.evaluation.comparing import ALL
from clipcond.evaluation.job import ABOUT, TABLE
from clipcond.evaluation.numbers import read_table
from clipcond.evaluation.record import Record, compare
from clipcond.evaluation.report import write_report
from clipcond.tables import write_rows

_NEEDS = "is not installed: pip install 'clipcond[evaluate]'"


class Evaluation(Record):
    """An evaluation, its tables as pandas' DataFrames and its page."""

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
    def table(self) -> Any:
        """A pandas DataFrame with a row a picture."""
        return _pandas().DataFrame(read_table(self.folder / TABLE))

    def summary(self) -> Any:
        """A pandas DataFrame with a row for each model, category and scorer: mean and its 95 % interval over prompts."""
        return _pandas().DataFrame(map(asdict, self.standings))

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
            for s in self.standings
            if s.category == ALL
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(self.summary().to_html(index=False, float_format="{:.4f}".format))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ClipcondError(f"pandas {_NEEDS}") from None
    return pandas
