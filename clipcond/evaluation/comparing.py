"""Which model is better: paired by prompt and seed, and said plainly."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from tqdm.auto import tqdm

from clipcond.errors import ClipcondError, ScoreError
from clipcond.evaluation.numbers import Numbers, pairs
from clipcond.score.statistics import compare_paired, holm, interval, required_n

ALPHA = 0.05
ALL = "all"  # categories together
_MOST = 1_000_000  # prompts that one may be told to add


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a model does.

    Attributes:
        model: its name.
        category: or "all".
        scorer: who judged.
        pictures: that were judged.
        prompts: of these.
        mean: over pictures.
        low: end of the 95 % interval of the mean, over prompts; the mean itself of a single prompt.
        high: the other end.
    """

    model: str
    category: str
    scorer: str
    pictures: int
    prompts: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Whether one model does better than another on the same prompts and seeds.

    Attributes:
        first: a model.
        second: another.
        category: or "all".
        scorer: who judged.
        pairs: of pictures with the same prompt and seed.
        prompts: of these.
        difference: first less second, over pairs.
        low: end of its 95 % interval, over prompts.
        high: the other end.
        wins: share of pairs whose first picture scores higher.
        ties: share of pairs that score the same.
        losses: share of pairs whose second picture scores higher.
        effect: difference in standard deviations of the prompts' own differences (Cohen's d_z).
        p_value: of the paired permutation test over prompts.
        p_holm: corrected over all that this judge was asked, pairs and categories.
        needed: about how many prompts more would show such a difference; 0 where it is seen, None where none would do.
        verdict: in words.
    """

    first: str
    second: str
    category: str
    scorer: str
    pairs: int
    prompts: int
    difference: float
    low: float
    high: float
    wins: float
    ties: float
    losses: float
    effect: float
    p_value: float
    p_holm: float = 1.0
    needed: int | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A model in a table, under the name that it is compared by."""

    name: str
    numbers: Numbers
    model: str

    def of(self, category: str | None, judge: str) -> np.ndarray:
        """Places of its rows."""
        return self.numbers.of(self.model, category, judge)


def standings(contestants: Sequence[Contestant], judges: Sequence[str]) -> list[Standing]:
    """How each does, in all and by category."""
    return [
        found
        for judge in judges
        for category in categories(contestants)
        for each in contestants
        if (found := _standing(each, category, judge)) is not None
    ]


def categories(contestants: Sequence[Contestant]) -> list[str | None]:
    """None for all together, then each category where there are several."""
    names = dict.fromkeys(n for each in contestants for n in each.numbers.category_names)
    return [None, *names] if len(names) > 1 else [None]


def _standing(contestant: Contestant, category: str | None, judge: str) -> Standing | None:
    places = contestant.of(category, judge)
    if not len(places):
        return None
    values = contestant.numbers.scores[judge][places]
    prompts = contestant.numbers.prompts[places]
    mean = float(values.mean())
    count = len(np.unique(prompts))
    found = interval(values, prompts.tolist()) if count > 1 else None
    return Standing(
        model=contestant.name,
        category=ALL if category is None else category,
        scorer=judge,
        pictures=len(values),
        prompts=count,
        mean=mean,
        low=found.low if found else mean,
        high=found.high if found else mean,
    )


def contrasts(
    contestants: Sequence[Contestant], judges: Sequence[str], *, baseline: str | None = None
) -> list[Contrast]:
    """Every two of them compared, or each with a baseline.

    Args:
        contestants: two at least, of distinct names.
        judges: that judged all of them in the same way.
        baseline: name of the one that the others are compared with; None: all pairs.

    Raises:
        ClipcondError: fewer than two, no such baseline, or not one prompt in common.
    """
    couples = list(_couples(contestants, baseline))
    asked = [
        (judge, couple, category)
        for judge in judges
        for couple in couples
        for category in categories(couple)
    ]
    found: dict[str, list[Contrast]] = {judge: [] for judge in judges}
    for judge, couple, category in tqdm(asked, unit=" comparisons", disable=None, leave=False):
        contrast = _contrast(*couple, judge=judge, category=category)
        if contrast is not None:
            found[judge].append(contrast)
    if not any(found.values()):
        first, second = couples[0]
        raise ClipcondError(
            f"{first.name} and {second.name} have no prompt in common that one scorer judged; compare pictures of the same prompts"
        )
    return [said for own in found.values() for said in _corrected(own)]


def _couples(
    contestants: Sequence[Contestant], baseline: str | None
) -> Iterator[tuple[Contestant, Contestant]]:
    if len(contestants) < 2:
        raise ClipcondError("a comparison takes two models at least; name another evaluation")
    if baseline is None:
        yield from combinations(contestants, 2)
        return
    own = next((each for each in contestants if each.name == baseline), None)
    if own is None:
        names = ", ".join(each.name for each in contestants)
        raise ClipcondError(f"baseline: got {baseline!r}; choose among {names}")
    yield from ((each, own) for each in contestants if each is not own)


def _contrast(
    first: Contestant, second: Contestant, *, judge: str, category: str | None
) -> Contrast | None:
    ours, theirs = pairs(
        first.numbers, first.of(category, judge), second.numbers, second.of(category, judge)
    )
    if not len(ours):
        return None
    a, b = first.numbers.scores[judge][ours], second.numbers.scores[judge][theirs]
    prompts = first.numbers.prompts[ours]
    count = len(np.unique(prompts))
    tested = compare_paired(a, b, prompts.tolist()) if count > 1 else None
    difference = float((a - b).mean())
    return Contrast(
        first=first.name,
        second=second.name,
        category=ALL if category is None else category,
        scorer=judge,
        pairs=len(a),
        prompts=count,
        difference=difference,
        low=tested.difference.low if tested else difference,
        high=tested.difference.high if tested else difference,
        wins=float((a > b).mean()),
        ties=float((a == b).mean()),
        losses=float((a < b).mean()),
        effect=tested.effect if tested else 0.0,
        p_value=tested.p_value if tested else 1.0,
    )


def _corrected(found: Sequence[Contrast]) -> Iterator[Contrast]:
    """With p-values corrected over all of them, and verdicts."""
    for contrast, p_holm in zip(found, holm([each.p_value for each in found]), strict=True):
        seen = p_holm < ALPHA
        needed = 0 if seen else _more(contrast, tests=len(found))
        told = replace(contrast, p_holm=p_holm, needed=needed)
        yield replace(told, verdict=_verdict(told))


def _more(contrast: Contrast, *, tests: int) -> int | None:
    """Prompts that are lacking to see a difference as large as this one, with a power of 0.8."""
    # of n prompts that all differ the same way signs alone say no less than 2 in 2 ** n
    least = math.floor(math.log2(2 * tests / ALPHA)) + 1
    try:
        wanted = (
            required_n(contrast.effect, alpha=ALPHA / tests)
            if math.isfinite(contrast.effect)
            else 0
        )
    except ScoreError:  # no difference at all
        return None
    needed = max(wanted, least) - contrast.prompts
    return max(needed, 1) if needed <= _MOST else None


def _verdict(contrast: Contrast) -> str:
    if contrast.p_holm < ALPHA:
        return f"{contrast.first if contrast.difference > 0 else contrast.second} is better"
    if contrast.prompts < 2:
        return "cannot tell: one prompt says nothing of others"
    if contrast.needed is None:
        return "cannot tell: hardly any difference"
    digits = len(str(contrast.needed)) - 2  # nobody knows it to three digits
    rounded = round(contrast.needed, -digits) if digits > 0 else contrast.needed
    return f"cannot tell: needs about {rounded:,} more prompts"
