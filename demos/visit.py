"""What was drawn in this visit: each drawing with what it changed, and again with one thing changed."""

from collections.abc import Sequence
from dataclasses import fields
from html import escape
from typing import NamedTuple

from clipcond.errors import ClipcondError

from .settings import Settings
from .starting import Start
from .studio import Drawn
from .view import picture

MOST = 12  # drawings
MAX_PIXELS = (
    16_000_000  # of all their pictures, which is 48 MB; the newest drawing stays whatever it has
)
_THUMB = 128


class Asked(NamedTuple):
    """What was asked for, or is now.

    Attributes:
        settings: of a drawing.
        start: the picture that it starts from, or None.
    """

    settings: Settings
    start: Start | None = None

    @classmethod
    def of(cls, drawn: Drawn) -> "Asked":
        """What a drawing was asked for."""
        return cls(drawn.settings, drawn.start)


History = tuple[Drawn, ...]  # the newest first
# how a setting is called on the page; of those whose values are long, the name is all that is said
_NAMES = {
    "prompt": "prompt",
    "negative": "negative prompt",
    "dialect": "syntax",
    "weighting": "weighting",
    "candidates": "candidates",
    "guidance": "guidance",
    "steps": "steps",
    "seed": "seed",
}
_LONG = ("prompt", "negative")


def remembered(history: History, drawn: Drawn) -> History:
    """With one more drawing, in place of an earlier one by the same settings; the oldest go beyond the bounds."""
    before = (each for each in history if Asked.of(each) != Asked.of(drawn))
    kept, pixels = [drawn], _pixels(drawn)
    for each in before:
        pixels += _pixels(each)
        if len(kept) == MOST or pixels > MAX_PIXELS:
            break
        kept.append(each)
    return tuple(kept)


def at(history: History, rank: object) -> Drawn:
    """The drawing that was clicked.

    Raises:
        ClipcondError: there is none.
    """
    if not isinstance(rank, int) or not 0 <= rank < len(history):
        raise ClipcondError(f"drawing: got {rank!r}; click one of those that are shown")
    return history[rank]


def _pixels(drawn: Drawn) -> int:
    return sum(image.width * image.height for image in drawn.generation.images)


def differing(asked: Asked, other: Asked) -> list[str]:
    """What one has that the other has not, in words."""
    settings, others = asked.settings, other.settings
    names = [
        f.name for f in fields(Settings) if getattr(settings, f.name) != getattr(others, f.name)
    ]
    words = [
        _NAMES[name] if name in _LONG else f"{_NAMES[name]} {getattr(settings, name)}"
        for name in names
    ]
    start, before = asked.start, other.start
    if (start and start.picture) != (before and before.picture):
        words.append("the picture to start from" if start else "no picture to start from")
    elif start and before and start.strength != before.strength:
        words.append(f"strength {start.strength:g}")
    return words


def told(asked: Asked, present: Asked) -> str:
    """How what a drawing was asked for stands to the fields."""
    words = differing(asked, present)
    if not words:
        return "Drawn with what is set now."
    if len(words) == 1:
        return f"One thing differs from what is set now: {words[0]}."
    return f"{len(words)} things differ from what is set now: {', '.join(words)}."


def strip(history: History, shown: Drawn | None) -> str:
    """The drawings, each a button with its best picture, its prompt and what it changed since the one before it."""
    if not history:
        return ""
    befores: Sequence[Drawn | None] = (*history[1:], None)
    cards = "".join(
        _card(rank, drawn, before, pressed=drawn is shown)
        for rank, (drawn, before) in enumerate(zip(history, befores, strict=True))
    )
    return f'<section class="visit"><h4>This visit</h4><div class="cards">{cards}</div></section>'


def _card(rank: int, drawn: Drawn, before: Drawn | None, *, pressed: bool) -> str:
    thumb = drawn.generation.images[0].copy()
    thumb.thumbnail((_THUMB, _THUMB))
    settings = drawn.settings
    changed = differing(Asked.of(drawn), Asked.of(before)) if before else ["the first"]
    prompt = escape(settings.prompt)
    return (
        f'<button class="card" data-rank="{rank}" aria-pressed="{str(pressed).lower()}" title="{prompt}" '
        f'aria-label="drawing {rank + 1}: {prompt}">{picture(thumb)}<span class="prompt" dir="auto">{prompt}</span>'
        f'<span class="changed">{escape(", ".join(changed))}</span></button>'
    )
