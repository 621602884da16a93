"""GenEval's results, in and out (Ghosh et al. 2023): one JSON object a picture, as evaluate_images.py writes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.evaluation.job import TABLE
from clipcond.evaluation.judges import ORACLE
from clipcond.evaluation.numbers import read_table
from clipcond.evaluation.record import Record
from clipcond.evaluation.rows import MISSED
from clipcond.tables import JSON, write_rows


def read_results(file: Path) -> dict[str, float]:
    """The detector's verdicts: last three parts of a picture's path (00012/samples/0003.png) -> 1 or 0.

    Raises:
        ClipcondError: it is not such a file, or judges a picture twice.
    """
    found: dict[str, float] = {}
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row = JSON.decode(line)
                key = "/".join(Path(row["filename"].replace("\\", "/")).parts[-3:])
                if key in found:
                    raise ClipcondError(
                        f"{file}: line {number} judges {key} again; name the results of one model"
                    )
                found[key] = float(bool(row["correct"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClipcondError(
            f"{file}: not GenEval's results ({error!r}); name the .jsonl that its evaluate_images.py wrote"
        ) from error
    return found


def write_results(evaluation: Record, file: Path, judge: str = ORACLE) -> None:
    """Write a judge's verdicts in that format, for GenEval's summary_scores.py.

    Raises:
        ClipcondError: the evaluation has no such judge, or one that gives other numbers than 0 and 1.
    """
    if judge not in evaluation.scorers:
        raise ClipcondError(
            f"{evaluation.folder}: was not judged by {judge!r}, but by {', '.join(evaluation.scorers)}"
        )
    write_rows(list(_results(evaluation, judge)), file)


def _results(evaluation: Record, judge: str) -> Iterator[dict[str, Any]]:
    for row in read_table(evaluation.folder / TABLE):
        verdict = row[judge]
        if verdict is None:
            continue
        if verdict not in (0, 1):
            raise ClipcondError(
                f"{judge}: gives {verdict}; GenEval's results are of verdicts, 0 or 1"
            )
        picture = evaluation.folder / row["file"]
        told = picture.parent.parent / "metadata.jsonl"
        about = {"tag": row["category"], "include": [], "prompt": row["prompt"]}
        yield {
            "filename": str(picture),
            "tag": row["category"],
            "prompt": row["prompt"],
            "correct": bool(verdict),
            "reason": row.get(judge + MISSED, ""),
            "metadata": told.read_text(encoding="utf-8") if told.is_file() else json.dumps(about),
        }
