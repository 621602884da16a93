"""The prompts of a call, sorted: which texts each encoder reads, and what a missing negative prompt means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipcond.errors import ClipcondError
from clipcond.families.contract import Family, Role
from clipcond.families.inputs import NEGATIVE, POSITIVE, Sides

Given = str | list[str] | None
_SUFFIX = ("", "_2", "_3")
_QUOTED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Every text of a call.

    Attributes:
        sides: for each of prompt, prompt_2, ...: one text a prompt; no negative side where none is read.
        zeros: whether the negative side is zeros.
        negative_given: whether the caller gave a negative prompt.
    """

    sides: Sides[tuple[list[str], ...]]
    zeros: bool
    negative_given: bool

    def of(self, role: Role) -> Sides[list[str]]:
        """What one encoder reads."""
        return {side: texts[role.prompt - 1] for side, texts in self.sides.items()}


def pair_prompts(
    family: Family, positive: Sequence[Given], negative: Sequence[Given], *, zeros: bool
) -> Texts:
    """Sort the prompts of a call: (prompt, prompt_2, prompt_3) and the negative ones.

    Raises:
        ClipcondError: what is no string, or a prompt for an encoder that the family has not.
        ValueError: no prompt, or another number of them.
    """
    for number in range(3):
        _check_texts(f"prompt{_SUFFIX[number]}", positive[number])
        _check_texts(f"negative_prompt{_SUFFIX[number]}", negative[number])
    if positive[0] is None:
        raise ClipcondError("prompt: got None; pass a string or a list of strings")
    for number in range(family.prompts, 3):
        for name, given in (("prompt", positive[number]), ("negative_prompt", negative[number])):
            if given:
                raise ClipcondError(
                    f"{name}_{number + 1}: {family.name} reads no prompt_{number + 1}; leave it out"
                )
    first = positive[0]
    prompts = [first] if isinstance(first, str) else list(first or ())
    if not prompts:
        raise ValueError("no prompt: the list is empty")
    rows = [_spread(given, len(prompts), "prompt") for given in positive[1 : family.prompts]]
    asked = any(text is not None for text in negative)
    as_zeros = family.no_negative == "zeros" or (family.no_negative == "zeros if told" and zeros)
    sides = {POSITIVE: (prompts, *(row or prompts for row in rows))}
    if asked or not (family.no_negative == "nothing" or as_zeros):
        stands = negative[0] is None or family.no_negative == "default"
        missing = [family.default_negative if stands else ""] * len(prompts)
        base = _spread(negative[0], len(prompts), "negative prompt") or missing
        others = [
            _spread(text, len(prompts), "negative prompt") for text in negative[1 : family.prompts]
        ]
        sides[NEGATIVE] = (base, *(other or base for other in others))
    return Texts(sides=sides, zeros=not asked and as_zeros, negative_given=asked)


def _check_texts(name: str, given: Any) -> None:
    """Whether an argument is a string or a list of strings.

    Raises:
        ClipcondError: it is anything else; the message says what, and where in a list.
    """
    if given is None or isinstance(given, str):
        return
    if not isinstance(given, list | tuple):
        raise ClipcondError(f"{name}: got {_shown(given)}; pass a string or a list of strings")
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise ClipcondError(
                f'{name}[{number}]: got {_shown(text)}; every prompt of a list is a string, "" for an empty one'
            )


def _shown(value: Any) -> str:
    """A value's type, and the beginning of it."""
    if value is None:
        return "None"
    shown = " ".join(repr(value).split())
    short = shown if len(shown) <= _QUOTED else f"{shown[:_QUOTED]}..."
    return f"{type(value).__name__} {short}"


def _spread(given: Given, count: int, name: str) -> list[str]:
    """One text for all, or as many; [] for none, as the pipelines take "" for none."""
    if not given:
        return []
    if isinstance(given, str):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"{len(given)} {name}s for {count} prompts: pass one for all, or as many")
    return list(given)
