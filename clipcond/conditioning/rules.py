"""How one encoder's prompts are read."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from clipcond.families.inputs import NEGATIVE
from clipcond.tokens import Policy

ONE_WINDOW = ("truncate", "error")  # policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one encoder's prompts are read.

    Attributes:
        dialect: of the prompt language.
        long_prompt: the name of the policy for prompts over the encoder's length.
        policy: itself.
        weighting: the name of the weighting mode.
        least: the smallest weight that the mode can take.
        normalization: of the weights.
        clean: what the pipelines do to a text before they tokenise it.
        negative_clean: the same for a negative one.
    """

    dialect: str
    long_prompt: str
    policy: Policy
    weighting: str
    least: float
    normalization: str
    clean: Callable[[str], str]
    negative_clean: Callable[[str], str]

    def of(self, side: str) -> "Rules":
        """For a side."""
        return replace(self, clean=self.negative_clean) if side == NEGATIVE else self
