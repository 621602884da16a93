"""What is missing: clause tables of the pictures that a CLIP scores lowest."""

import heapq

from clipcond.clip import load_picture
from clipcond.errors import ScoreError
from clipcond.evaluation.job import TABLE
from clipcond.evaluation.numbers import read_table
from clipcond.evaluation.record import Record
from clipcond.score import ClauseTable, ClipScorer

_TABLES = 8
_NULL = 64  # other prompts, whose clauses say what is far from a picture


def lowest_clauses(evaluation: Record, judge: str, scorer: ClipScorer) -> list[ClauseTable]:
    """Clause by clause, the pictures that a judge scores lowest, each prompt once.

    Args:
        evaluation: of which.
        judge: who scored.
        scorer: that looks at clauses.
    """
    lowest: dict[str, tuple[float, str]] = {}  # prompt -> score, file
    others: dict[str, None] = {}
    for row in read_table(evaluation.folder / TABLE):
        if len(others) < _NULL:
            others[row["prompt"]] = None
        score = row[judge]
        if score is None or score >= lowest.get(row["prompt"], (float("inf"), ""))[0]:
            continue
        lowest[row["prompt"]] = (score, row["file"])
        if len(lowest) > _TABLES:
            del lowest[max(lowest, key=lambda prompt: lowest[prompt][0])]
    found = []
    for prompt, (_, file) in heapq.nsmallest(_TABLES, lowest.items(), key=lambda each: each[1][0]):
        try:
            picture = load_picture(evaluation.folder / file)
            null = [other for other in others if other != prompt]
            found.append(scorer.clauses(picture, prompt, null))
        except (
            ScoreError
        ):  # a prompt without words, or no other to compare with: there is no table of it
            continue
    return found
