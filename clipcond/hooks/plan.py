"""What is run for a call of a denoiser, and for which of the pipeline's rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from clipcond.families.inputs import NEGATIVE, POSITIVE
from clipcond.hooks.clock import Moment
from clipcond.hooks.markers import Who
from clipcond.hooks.program import Mixed, Scripts


@dataclass(frozen=True, slots=True)
class Job:
    """A row that is run.

    Attributes:
        source: the row of the pipeline's call that it takes everything from but the text.
        who: whose it is; None where that is not known.
        text: what it reads; None for what the pipeline put there.
        places: what it reads in places, where these have no rows of their own.
    """

    source: int
    who: Who | None
    text: Mixed | None = None
    places: tuple[Mixed, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call of the denoiser comes to.

    Attributes:
        jobs: the rows that are run.
        parts: for each of the pipeline's rows, its jobs: of a composed prompt one a part, then one a place.
        negatives: for each of the pipeline's rows of the positive side, the job of its negative one; -1 where none is run.
    """

    jobs: tuple[Job, ...]
    parts: tuple[tuple[int, ...], ...]
    negatives: tuple[int, ...]

    @property
    def is_own(self) -> bool:
        """Whether the pipeline's rows are run as they are, but for their texts."""
        return [job.source for job in self.jobs] == list(range(len(self.parts)))


def make_plan(
    who: Sequence[Who | None],
    scripts: Scripts | None,
    moment: Moment,
    *,
    unguided: bool,
    joined: bool,
    blended: bool,
) -> Plan:
    """The jobs of a call, each once.

    Args:
        who: whose each of the pipeline's rows is.
        scripts: what the prompts say; None: what the pipeline put there.
        moment: when.
        unguided: whether the negative side may be left out.
        joined: whether the negative side of composed prompts is to be run in this call, though it has no row for it.
        blended: whether what is said in places has rows of its own.
    """
    numbers: dict[Job, int] = {}

    def jobs(source: int, whose: Who | None) -> tuple[int, ...]:
        found = [Job(source, whose)]
        if scripts is not None and whose is not None and whose.side in scripts:
            script = scripts[whose.side][whose.prompt]
            parts = [part.track.at(moment) for part in script.parts]
            there = tuple(place.track.at(moment) for place in script.places)
            if blended:
                found = [Job(source, whose, text) for text in (*parts, *there)]
            else:
                found = [Job(source, whose, text, there) for text in parts]
        return tuple(numbers.setdefault(job, len(numbers)) for job in found)

    composed = scripts is not None and any(script.is_composed for script in scripts[POSITIVE])
    left_out = unguided and not composed
    positive = [row for row, whose in enumerate(who) if whose and whose.side == POSITIVE]
    negative = [row for row, whose in enumerate(who) if not whose or whose.side == NEGATIVE]
    parts: list[tuple[int, ...]] = [()] * len(who)
    for row in range(len(who)):
        if row in positive or not left_out or not positive:
            parts[row] = jobs(row, who[row])
    negatives = [-1] * len(who)
    for number, row in enumerate(positive):
        if negative and not left_out:
            negatives[row] = parts[negative[number % len(negative)]][0]
        elif joined and composed and not negative:
            other = Who(NEGATIVE, who[row].prompt)  # type: ignore[union-attr] # positive rows are someone's
            negatives[row] = jobs(row, other)[0]
    return Plan(tuple(numbers), tuple(parts), tuple(negatives))
