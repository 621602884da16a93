"""What a dialect is: whatever anyone here or beyond knows of one, said at the end of that dialect's own file."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clipcond.prompt.hints import Hint
from clipcond.prompt.tree import Lora, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A dialect of the prompt language.

    Attributes:
        name: as callers give it.
        read: a source -> what it says; raises PromptSyntaxError where it means nothing.
        write: (prompt without tags, its LoRAs) -> text that says the same, or the nearest to it that can be said.
        hints: what another dialect would read otherwise, and what is nearly syntax.
        joint: what stands between parts that it cannot join as they were joined.
        breaks: whether BREAK ends a window.
        schedules: whether what is said may depend on the step.
        least: the smallest weight that can be written; None: there are no weights.
        embeddings: whether `embedding:name` asks for a textual inversion.
        drops_unmet: whether one that is not there is left out; else it is text.
    """

    name: str
    read: Callable[[str], Prompt]
    write: Callable[[Prompt, Sequence[Lora]], str]
    hints: tuple[Hint, ...] = ()
    joint: str = "commas"
    breaks: bool = False
    schedules: bool = False
    least: float | None = -math.inf
    embeddings: bool = True
    drops_unmet: bool = False
