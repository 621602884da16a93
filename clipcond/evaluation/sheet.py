"""The contact sheet: which pictures of an evaluation are worth a look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from scipy.stats import rankdata

from clipcond.clip import load_picture
from clipcond.errors import ScoreError
from clipcond.evaluation.comparing import Contestant
from clipcond.evaluation.job import TABLE
from clipcond.evaluation.numbers import pairs, read_table
from clipcond.evaluation.record import Record
from clipcond.evaluation.rows import MISSED
from clipcond.gallery.page import data_url

_SHOWN = 12  # of all categories together
_A_CATEGORY = 4
_EDGE = 256  # pixels of a shown picture's longer side, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A picture of the sheet, or two of one prompt and seed.

    Attributes:
        prompt: of it.
        category: of the prompt.
        overall: whether it is among those of all categories.
        rows: of the table, each with its model's name as it is compared and the picture as a data URL.
    """

    prompt: str
    category: str
    overall: bool
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Cards under a title."""

    title: str
    about: str
    cards: list[Card]


Row: TypeAlias = tuple[Contestant, int]  # whose, and where in its table
Choice: TypeAlias = tuple[
    tuple[Row, ...], bool
]  # rows of one card, and whether among the first of all


@dataclass(frozen=True, slots=True)
class _Field:
    """Rows to choose from, of several models: whose each is, and where in that one's table."""

    contestants: Sequence[Contestant]
    owners: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, contestants: Sequence[Contestant], judges: Sequence[str]) -> "_Field":
        """All rows that every one of some judges could judge."""
        own = [reduce(np.intersect1d, (c.of(None, j) for j in judges)) for c in contestants]
        owners = np.repeat(np.arange(len(own)), [len(each) for each in own])
        return cls(contestants, owners, np.concatenate(own))

    def values(self, judge: str) -> np.ndarray:
        """The judge's scores."""
        found = np.empty(len(self.places))
        for i, contestant in enumerate(self.contestants):
            mine = self.owners == i
            found[mine] = contestant.numbers.scores[judge][self.places[mine]]
        return found

    def picked(self, order: np.ndarray) -> list[Choice]:
        """The first rows of all in an order, and the first of each category."""
        counts: dict[str, int] = {}
        names = {n for c in self.contestants for n in c.numbers.category_names}
        found: list[Choice] = []
        for rank, i in enumerate(order.tolist()):
            owner = self.contestants[self.owners[i]]
            place = int(self.places[i])
            category = owner.numbers.category_names[owner.numbers.categories[place]]
            counts[category] = counts.get(category, 0) + 1
            if rank < _SHOWN or counts[category] <= _A_CATEGORY:
                found.append((((owner, place),), rank < _SHOWN))
            elif all(counts.get(name, 0) >= _A_CATEGORY for name in names):
                break
        return found


def sheets(
    evaluations: Sequence[Record],
    contestants: Sequence[Contestant],
    judges: Sequence[str],
    couple: tuple[Contestant, Contestant] | None,
) -> list[Sheet]:
    """The best, the worst, and where judges or models disagree most.

    Args:
        evaluations: whose pictures are shown.
        contestants: all models of these.
        judges: the first says what is best; the last is who it may disagree with.
        couple: two models that are set side by side.
    """
    judge, other = judges[0], judges[-1]
    field = _Field.of(contestants, [judge])
    rising = np.argsort(field.values(judge), kind="stable")
    chosen = [
        ("Highest", f"by {judge}", field.picked(rising[::-1])),
        ("Lowest", f"by {judge}", field.picked(rising)),
    ]
    if judge != other:
        both = _Field.of(contestants, [judge, other])
        ranks = [rankdata(both.values(name)) for name in (judge, other)]
        apart = np.argsort(ranks[1] - ranks[0], kind="stable")
        for liked, not_liked, order in ((judge, other, apart), (other, judge, apart[::-1])):
            title = f"{liked} likes these, {not_liked} does not"
            chosen.append((title, "by their ranks among all", both.picked(order)))
    if couple:
        chosen += _side_by_side(couple, judge)
    rows = _rows(evaluations, {row for _, _, some in chosen for rows, _ in some for row in rows})
    return [
        Sheet(
            title=title,
            about=about,
            cards=[_card([rows[r] for r in own], overall) for own, overall in some],
        )
        for title, about, some in chosen
        if some
    ]


def _side_by_side(
    couple: tuple[Contestant, Contestant], judge: str
) -> Iterator[tuple[str, str, list[Choice]]]:
    """Pictures of the same prompt and seed, where one model does best and where the other does."""
    first, second = couple
    ours, theirs = pairs(
        first.numbers, first.of(None, judge), second.numbers, second.of(None, judge)
    )
    gap = first.numbers.scores[judge][ours] - second.numbers.scores[judge][theirs]
    field = _Field([first], np.zeros(len(ours), int), ours)
    partner = dict(zip(ours.tolist(), theirs.tolist(), strict=True))
    for better, worse, sign in ((first, second, 1), (second, first, -1)):
        order = np.argsort(-sign * gap, kind="stable")
        alone = field.picked(order[sign * gap[order] > 0])
        both = [((*rows, (second, partner[rows[0][1]])), overall) for rows, overall in alone]
        yield f"Better by {better.name}", f"than by {worse.name}, to {judge}", both


def _rows(evaluations: Sequence[Record], wanted: set[Row]) -> dict[Row, dict[str, Any]]:
    """Those rows with their pictures, each table read once."""
    found = {}
    for evaluation in evaluations:
        own = {each[1]: each for each in wanted if each[0].numbers is evaluation.numbers}
        for place, row in enumerate(read_table(evaluation.folder / TABLE)):
            if place in own:
                missed = [row[name] for name in row if name.endswith(MISSED) and row[name]]
                found[own[place]] = row | {
                    "model": own[place][0].name,
                    "missed": "; ".join(missed),
                    "image": shown(evaluation, row["file"]),
                }
    return found


def _card(rows: Sequence[dict[str, Any]], overall: bool) -> Card:  # noqa: FBT001
    first = rows[0]
    return Card(
        prompt=first["prompt"], category=first["category"], overall=overall, rows=tuple(rows)
    )


def shown(evaluation: Record, file: str) -> str:
    """A picture small enough for the page, as part of it; "" where it is gone."""
    try:
        picture = load_picture(evaluation.folder / file)
    except ScoreError:
        return ""
    return data_url(picture, _EDGE)
