"""What is looked for: texts and pictures, added and taken away, as in "2*a dog + ./x.jpg - snow"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipcond.errors import ScoreError
from clipcond.search.pictures import ENDINGS

if TYPE_CHECKING:
    from clipcond.score import ClipScorer

_SIGN = re.compile(r"\s([+-])(?=\s|$)")
_WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*\*\s*")


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query.

    Attributes:
        what: a text, or the path of a picture.
        weight: below 0 for what is taken away.
        is_picture: which of both.
    """

    what: str
    weight: float
    is_picture: bool


def read_query(text: str) -> tuple[Term, ...]:
    """The terms of a query; a sign stands between blanks, a weight before an asterisk, and a term that ends like a picture's file
    and is there is that picture.

    Raises:
        ScoreError: nothing between two signs.
    """
    signed = text.strip().startswith(("+ ", "- "))
    parts = _SIGN.split(f" {text.strip()}" if signed else f" + {text.strip()}")
    found = []
    for sign, said in zip(parts[1::2], parts[2::2], strict=True):
        weight = _WEIGHT.match(said)
        what = said[weight.end() :].strip() if weight else said.strip()
        if not what:
            raise ScoreError(
                f"query: {text!r} has a sign with nothing behind it; write 'a dog + snow'"
            )
        factor = float(weight[1]) if weight else 1.0
        is_picture = what.lower().endswith(ENDINGS) and Path(what).is_file()
        found.append(Term(what, factor if sign == "+" else -factor, is_picture))
    return tuple(found)


def query_vector(terms: Sequence[Term], scorer: "ClipScorer") -> np.ndarray:
    """The unit vector of a query: the sum of its terms' unit features, each by its weight. float32 [dim].

    Raises:
        ScoreError: a picture that cannot be read, or terms that cancel out.
    """
    total = np.zeros(scorer.clip.architecture.dim, np.float32)
    for term in terms:
        one = (
            scorer.image_features([term.what])
            if term.is_picture
            else scorer.text_features([term.what]).features
        )
        total += term.weight * one[0].numpy()
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise ScoreError("query: its terms cancel out; take one away")
    return total / length
