"""A table of scores as columns of numbers: what intervals and tests need of it, and no more."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipcond.errors import ClipcondError
from clipcond.evaluation.rows import ABOUT as COMMON
from clipcond.evaluation.rows import ERROR, MISSED, TRUNCATED

_NO_SEED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Every row's numbers, row i at place i.

    Attributes:
        prompts: a number that stands for the prompt's text, the same in every table.
        models: place of the model in `model_names`.
        categories: place of the category in `category_names`.
        seeds: -1 where none is known.
        scores: of each judge; NaN where it could not judge.
        model_names: in order of appearance.
        category_names: in order of appearance; "" is one of them where a prompt has none.
    """

    prompts: np.ndarray
    models: np.ndarray
    categories: np.ndarray
    seeds: np.ndarray
    scores: Mapping[str, np.ndarray]
    model_names: tuple[str, ...]
    category_names: tuple[str, ...]

    def of(self, model: str, category: str | None, judge: str) -> np.ndarray:
        """Places of the rows of a model, and of a category unless it is None, that a judge could judge."""
        kept = (self.models == self.model_names.index(model)) & np.isfinite(self.scores[judge])
        if category is not None:
            if category not in self.category_names:
                return np.zeros(0, dtype=int)
            kept &= self.categories == self.category_names.index(category)
        return np.flatnonzero(kept)


def read_table(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of an evaluation's table.

    Raises:
        ClipcondError: it is not there, or damaged.
    """
    try:
        with file.open(encoding="utf-8") as table:
            for line in table:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise ClipcondError(
            f"{file}: not readable as an evaluation's table ({error}); run clipcond evaluate again"
        ) from error


def judges_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Who judged, by the columns of a row."""
    return tuple(
        name
        for name in row
        if name not in (*COMMON, ERROR) and not name.endswith((TRUNCATED, MISSED))
    )


def read_numbers(file: Path) -> Numbers:
    """The numbers of an evaluation's table.

    Raises:
        ClipcondError: it cannot be read.
    """
    prompts, models, categories, seeds = ([] for _ in range(4))
    scores: dict[str, list[float]] = {}
    model_names: dict[str, int] = {}
    category_names: dict[str, int] = {}
    for row in read_table(file):
        if not scores:
            scores = {name: [] for name in judges_of(row)}
        prompts.append(_number(row["prompt"]))
        models.append(model_names.setdefault(row["model"], len(model_names)))
        categories.append(category_names.setdefault(row["category"], len(category_names)))
        seeds.append(_NO_SEED if row["seed"] is None else row["seed"])
        for name, values in scores.items():
            values.append(np.nan if row[name] is None else row[name])
    return Numbers(
        np.array(prompts, np.int64),
        np.array(models, np.int32),
        np.array(categories, np.int32),
        np.array(seeds, np.int64),
        {name: np.array(values) for name, values in scores.items()},
        tuple(model_names),
        tuple(category_names),
    )


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def pairs(
    first: Numbers, one: np.ndarray, second: Numbers, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places of rows that show the same prompt with the same seed, in both tables.

    Where neither says its seeds, or several rows have the same, those of a prompt are paired in order, as far as both go.

    Args:
        first: a table.
        one: places in it.
        second: another, or the same.
        other: places in that.
    """
    ours, theirs = _numbered(first, one), _numbered(second, other)
    common = [key for key in ours if key in theirs]
    return (
        np.array([ours[key] for key in common], dtype=int),
        np.array([theirs[key] for key in common], dtype=int),
    )


def _numbered(
    numbers: Numbers, places: Sequence[int] | np.ndarray
) -> dict[tuple[int, int, int], int]:
    """(prompt, seed, how manieth of these) -> place."""
    seen: dict[tuple[int, int], int] = {}
    found = {}
    keys = zip(numbers.prompts[places].tolist(), numbers.seeds[places].tolist(), strict=True)
    for key, place in zip(keys, np.asarray(places).tolist(), strict=True):
        order = seen[key] = seen.get(key, -1) + 1
        found[*key, order] = place
    return found
