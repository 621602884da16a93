"""Clauses: a long prompt scored part by part, so that no word is cut and the missing part has a name.

One cosine over a whole prompt is nearly blind to what is absent from the picture, and the tower reads 77 tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from clipcond.errors import ScoreError
from clipcond.score.calibration import stand_out

if TYPE_CHECKING:
    from clipcond.clip.images import ImageLike
    from clipcond.score.scorer import ClipScorer
else:  # checked where they are used
    ImageLike = object
    ClipScorer = Any

MISSING_BELOW = 1.645  # standard deviations above the null's mean: what 5 % of a normal null exceed
_BOUNDARY = re.compile(r"[,;.!?\n]+|\b(?:and|with)\b", re.IGNORECASE)


class Clause(NamedTuple):
    """A part of a prompt: prompt[start:end]."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseScore:
    """How much of a clause is in the picture.

    Attributes:
        clause: the part.
        cosine: with the picture.
        z: standard deviations above the clauses of other prompts.
        percentile: share of those below, in percent.
        missing: the clause hardly stands out, z below 1.645.
        truncated: it is one word longer than the tower reads.
    """

    clause: Clause
    cosine: float
    z: float
    percentile: float
    missing: bool
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseTable:
    """A prompt's clauses, in its order.

    Attributes:
        prompt: the whole.
        rows: one a clause.
        provenance: how the cosines were made.
    """

    prompt: str
    rows: tuple[ClauseScore, ...]
    provenance: dict[str, Any] = field(repr=False)

    @property
    def missing(self) -> tuple[Clause, ...]:
        """The clauses that hardly stand out."""
        return tuple(row.clause for row in self.rows if row.missing)

    def __str__(self) -> str:
        """The table, for a terminal."""
        lines = [f"{'z':>7}  {'cosine':>7}  clause"]
        lines += [
            f"{row.z:7.2f}  {row.cosine:7.4f}  {row.clause.text}{'   <- missing?' if row.missing else ''}"
            for row in self.rows
        ]
        return "\n".join(lines)


def split_clauses(prompt: str) -> tuple[Clause, ...]:
    """Parts between punctuation, "and" and "with"; they cover every other word of the prompt."""
    clauses, start = [], 0
    for end, after in [*(m.span() for m in _BOUNDARY.finditer(prompt)), (len(prompt),) * 2]:
        clauses += _trimmed(prompt, start, end)
        start = after
    return tuple(clauses)


def clause_table(
    scorer: ClipScorer, image: ImageLike, prompt: str, null: Sequence[str]
) -> ClauseTable:
    """Score each clause of a prompt, calibrated by the clauses of other prompts.

    A clause that is longer than the text tower reads is halved between words until its parts are not.

    Args:
        scorer: whose CLIP compares.
        image: one picture.
        prompt: its prompt, of any length.
        null: other prompts, a dozen or more, of the same kind.

    Raises:
        ScoreError: a prompt without words, or fewer than two other clauses.
    """
    clauses = [
        part for clause in split_clauses(prompt) for part in _fitting(scorer, prompt, clause)
    ]
    if not clauses:
        raise ScoreError(f"prompt: got {prompt!r}; there is no word in it to look for")
    own = {clause.text for clause in clauses}
    others = {part.text for other in null for part in split_clauses(other)} - own
    if len(others) < 2:
        raise ScoreError(
            f"null: got {len(others)} clauses other than the prompt's own; a spread takes two at least, a fair one dozens"
        )
    picture = scorer.image_features([image])
    text = scorer.text_features([clause.text for clause in clauses])
    cosine = (text.features @ picture.T).squeeze(1)
    against = picture @ scorer.text_features(sorted(others)).features.T
    z, percentile = stand_out(cosine, against.expand(len(clauses), -1))
    columns = (cosine.tolist(), z.tolist(), percentile.tolist(), text.truncated.tolist())
    return ClauseTable(
        prompt=prompt,
        rows=tuple(
            ClauseScore(
                clause=clause,
                cosine=cosine,
                z=z,
                percentile=percentile,
                missing=z < MISSING_BELOW,
                truncated=truncated,
            )
            for clause, cosine, z, percentile, truncated in zip(clauses, *columns, strict=True)
        ),
        provenance=scorer.provenance,
    )


def _trimmed(prompt: str, start: int, end: int) -> list[Clause]:
    text = prompt[start:end]
    start += len(text) - len(text.lstrip())
    return [Clause(text.strip(), start, start + len(text.strip()))] if text.strip() else []


def _fitting(scorer: ClipScorer, prompt: str, clause: Clause) -> list[Clause]:
    """The clause, or its parts that the tower reads whole."""
    gaps = [m.start() for m in re.finditer(r"\s+", clause.text)]
    if not gaps or not bool(scorer.text_features([clause.text]).truncated[0]):
        return [clause]
    middle = clause.start + min(gaps, key=lambda gap: abs(gap - len(clause.text) / 2))
    halves = [*_trimmed(prompt, clause.start, middle), *_trimmed(prompt, middle, clause.end)]
    return [part for half in halves for part in _fitting(scorer, prompt, half)]
