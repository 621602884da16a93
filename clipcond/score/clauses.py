"""Clauses: a long prompt scored part by part, so that no word is cut and the missing part has a name.

One cosine over a whole prompt is nearly blind to what is absent from the picture, and the tower reads 77 tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float

from clipcond.clip.images import ImageLike
from clipcond.errors import ScoreError
from clipcond.score.calibration import stand_out
from clipcond.score.features import ClipFeatures, same_to_clip

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
            f"{row.z:7.2f}  {row.cosine:7.4f}  {row.clause.text}{'   (cut)' if row.truncated else ''}"
            f"{'   <- missing?' if row.missing else ''}"
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
    scorer: ClipFeatures, image: ImageLike, prompt: str, null: Sequence[str]
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
    clauses = _whole_clauses(scorer, [prompt])
    if not clauses:
        raise ScoreError(f"prompt: got {prompt!r}; there is no word in it to look for")
    text = scorer.text_features([clause.text for clause in clauses])
    others = _others(scorer, text.features, null)
    picture = scorer.image_features([image])
    cosine = (text.features @ picture.T).squeeze(1)
    z, percentile = stand_out(cosine, (picture @ others.T).expand(len(clauses), -1))
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


def _others(
    scorer: ClipFeatures, own: Float[torch.Tensor, "clauses dim"], null: Sequence[str]
) -> Float[torch.Tensor, "texts dim"]:
    """Features of the clauses of other prompts that are not among the prompt's own, whatever their case."""
    texts = sorted({part.text for part in _whole_clauses(scorer, null)})
    found = scorer.text_features(texts).features if texts else own[:0]
    found = found[~same_to_clip(found, own).any(1)]
    if len(found) < 2:
        raise ScoreError(
            f"null: got {len(found)} clauses other than the prompt's own; a spread takes two at least, a fair one dozens"
        )
    return found


def _trimmed(prompt: str, start: int, end: int) -> list[Clause]:
    text = prompt[start:end]
    start += len(text) - len(text.lstrip())
    return [Clause(text.strip(), start, start + len(text.strip()))] if text.strip() else []


def _whole_clauses(scorer: ClipFeatures, prompts: Sequence[str]) -> list[Clause]:
    """All clauses of prompts, none longer than the tower reads where that can be helped."""
    found = [(prompt, clause) for prompt in prompts for clause in split_clauses(prompt)]
    if found:  # encoded together, for the looks at each that follow
        scorer.text_features([clause.text for _, clause in found])
    return [part for prompt, clause in found for part in _fitting(scorer, prompt, clause)]


def _fitting(scorer: ClipFeatures, prompt: str, clause: Clause) -> list[Clause]:
    """The clause, or its parts that the tower reads whole."""
    gaps = [m.start() for m in re.finditer(r"\s+", clause.text)]
    if not gaps or not bool(scorer.text_features([clause.text]).truncated[0]):
        return [clause]
    middle = clause.start + min(gaps, key=lambda gap: abs(gap - len(clause.text) / 2))
    halves = [*_trimmed(prompt, clause.start, middle), *_trimmed(prompt, middle, clause.end)]
    return [part for half in halves for part in _fitting(scorer, prompt, half)]
