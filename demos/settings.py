"""What one drawing depends on, checked; and the same as the query string of the page's address."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlencode

from clipcond.errors import ClipcondError
from clipcond.prompt import check_dialect
from clipcond.weighting import mode_named

MAX_PROMPT = 4000  # characters; the text view is redrawn at every key
MAX_CANDIDATES = 16
MAX_STEPS = 100
MAX_GUIDANCE = 30.0
MAX_SEED = 2**53 - 1  # what a browser's numbers hold exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One drawing. Made with `checked`.

    Attributes:
        prompt: in the dialect.
        negative: what to steer away from; "" follows the pipeline.
        dialect: how both are read.
        weighting: what weights do.
        candidates: pictures to draw.
        guidance: scale of classifier-free guidance.
        steps: of denoising.
        seed: of the first candidate.
    """

    prompt: str
    negative: str = ""
    dialect: str = "a1111"
    weighting: str = "comfy"
    candidates: int = 4
    guidance: float = 3.0
    steps: int = 20
    seed: int = 0

    def query(self) -> str:
        """The part of an address after "?", which `from_query` reads back."""
        return urlencode(asdict(self))


def checked(**values: Any) -> Settings:
    """Settings as they come from a browser or a client, or an error that says which is wrong.

    Raises:
        ClipcondError: quoting the value and saying what it may be.
    """
    settings = Settings(
        prompt=text(values["prompt"], "prompt"),
        negative=text(values["negative"], "negative prompt"),
        dialect=values["dialect"],
        weighting=values["weighting"],
        candidates=whole(values["candidates"], "candidates", 1, MAX_CANDIDATES),
        guidance=number(values["guidance"], "guidance", 0.0, MAX_GUIDANCE),
        steps=whole(values["steps"], "steps", 1, MAX_STEPS),
        seed=whole(values["seed"], "seed", 0, MAX_SEED),
    )
    if not settings.prompt.strip():
        raise ClipcondError("prompt: nothing typed yet; say what to draw")
    check_dialect(settings.dialect)
    mode_named(settings.weighting)
    return settings


def from_query(query: Mapping[str, str], defaults: Settings) -> Settings | None:
    """The settings that an address asks for; None where it asks for none.

    Raises:
        ClipcondError: a value that makes no sense.
    """
    if "prompt" not in query:
        return None
    names = [field.name for field in fields(Settings)]
    return checked(**asdict(defaults) | {name: query[name] for name in names if name in query})


def text(value: Any, name: str) -> str:
    """A text that is not too long to look at.

    Raises:
        ClipcondError: over 4,000 characters, or no text.
    """
    if not isinstance(value, str):
        raise ClipcondError(f"{name}: got {value!r}; needs a text")
    if len(value) > MAX_PROMPT:
        raise ClipcondError(
            f"{name}: got {len(value):,} characters, beginning {value[:40]!r}; at most {MAX_PROMPT:,}"
        )
    return value


def number(value: Any, name: str, least: float, most: float) -> float:
    """A number within limits.

    Raises:
        ClipcondError: it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not least <= found <= most:
        raise ClipcondError(f"{name}: got {value!r}; needs a number from {least:g} to {most:g}")
    return found


def share(value: Any, name: str) -> float:
    """A share of a run.

    Raises:
        ClipcondError: it is none.
    """
    return number(value, name, 0.0, 1.0)


def whole(value: Any, name: str, least: int, most: int) -> int:
    """A whole number within limits.

    Raises:
        ClipcondError: it is none.
    """
    try:
        number = int(value)
        same = number == float(value)
    except (TypeError, ValueError, OverflowError):
        same = False
    if not (same and least <= number <= most):
        raise ClipcondError(f"{name}: got {value!r}; needs a whole number from {least} to {most}")
    return number
