"""Whose rows a denoiser is called with: by their marks, else by how the family's pipelines order them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipcond.errors import ClipcondError
from clipcond.families.inputs import NEGATIVE, POSITIVE
from clipcond.hooks.clock import Moment
from clipcond.hooks.guidance import is_guided
from clipcond.hooks.markers import Found, Who
from clipcond.hooks.rows import Call
from clipcond.hooks.run import Run


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a denoiser's call.

    Attributes:
        who: whose each is; None for one of the pipeline's own, which stands for a negative prompt.
        marks: the call's marked tensors, by their ids.
    """

    who: tuple[Who | None, ...]
    marks: Mapping[int, Found]

    @property
    def positive(self) -> list[int]:
        """Those of the prompts."""
        return [row for row, who in enumerate(self.who) if who and who.side == POSITIVE]

    @property
    def negative(self) -> list[int]:
        """Those of the negative prompts."""
        return [row for row, who in enumerate(self.who) if not who or who.side == NEGATIVE]

    @property
    def partners(self) -> list[tuple[int, int]]:
        """Each negative row with that of its prompt, itself where the call has none."""
        prompts = self.positive or self.negative
        return [(row, prompts[n % len(prompts)]) for n, row in enumerate(self.negative)]

    @property
    def is_positive(self) -> bool:
        """Whether there are no others than those of the prompts."""
        return not self.negative

    @property
    def is_negative(self) -> bool:
        """Whether there are none of the prompts."""
        return not self.positive

    def prompt(self, row: int) -> int:
        """The number of the prompt that a row is of."""
        who = self.who[row]
        if who is None:
            raise ValueError(f"row {row} is the pipeline's own")
        return who.prompt


def rows_of(run: Run, call: Call, moment: Moment) -> Rows:
    """The rows of a call.

    Raises:
        ClipcondError: they are not as the family's pipelines order them.
    """
    states = run.session.attached
    marks = call.found(states.widths, run.known) if states is not None else {}
    if marks:
        found = max((mark.rows for mark in marks.values()), key=len)
        return Rows(found[:: len(found) // call.count], marks)
    return Rows(_ordered(run, call.count, moment), {})


def _ordered(run: Run, count: int, moment: Moment) -> tuple[Who | None, ...]:
    if not is_guided(run.session.pipe, run.arguments):
        sides = [POSITIVE]
    elif run.session.family.guidance == "two calls":
        second = run.kept is not None and run.kept.moment == moment
        sides = [NEGATIVE if second else POSITIVE]
    elif "image_guidance_scale" in run.arguments:
        # InstructPix2Pix: after the prompts' rows those of the picture alone, then those of neither
        sides = [POSITIVE, NEGATIVE, NEGATIVE]
    elif run.session.family.guidance == "positive first":
        sides = [POSITIVE, NEGATIVE]
    else:
        sides = [NEGATIVE, POSITIVE]
    return _in_blocks(sides, count)


def _in_blocks(sides: Sequence[str], count: int) -> tuple[Who | None, ...]:
    each, over = divmod(count, len(sides))
    if over:
        raise ClipcondError(
            f"the denoiser was called with {count} rows, which are no {len(sides)} sides"
        )
    return tuple(Who(side, number) for side in sides for number in range(each))
