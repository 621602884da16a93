"""What is looked for: texts and pictures, added and taken away, as in "2*a dog + ./x.jpg - snow"."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipcond.errors import ScoreError
from clipcond.gallery.folder import ENDINGS

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


def read_query(text: str, pictures: Collection[str] | None = None) -> tuple[Term, ...]:
    """The terms of a query; a sign stands between blanks, and a weight before an asterisk.

    Args:
        text: as typed.
        pictures: names that are pictures; None: those of picture files that are there.

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
        is_picture = _is_file(what) if pictures is None else what in pictures
        found.append(Term(what, factor if sign == "+" else -factor, is_picture))
    return tuple(found)


def _is_file(what: str) -> bool:
    return what.lower().endswith(ENDINGS) and Path(what).is_file()


def query_vector(
    terms: Sequence[Term],
    scorer: "ClipScorer",
    pictures: Callable[[str], np.ndarray] | None = None,
) -> np.ndarray:
    """The unit vector of a query: the sum of its terms' unit features, each by its weight. float32 [dim].

    Args:
        terms: of `read_query`.
        scorer: whose features.
        pictures: the features of a picture by its name; None: of the file of that name.

    Raises:
        ScoreError: a picture that cannot be read, or terms that cancel out.
    """
    total = np.zeros(scorer.clip.architecture.dim, np.float32)
    for term in terms:
        if not term.is_picture:
            one = scorer.text_features([term.what]).features[0].numpy()
        elif pictures is None:
            one = scorer.image_features([term.what])[0].numpy()
        else:
            one = pictures(term.what)
        total += term.weight * one
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise ScoreError("query: its terms cancel out; take one away")
    return total / length
