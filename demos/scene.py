"""A scene of the emoji world that shows exactly what a caption says."""

import numpy as np
from PIL import Image

from clipcond import emoji
from clipcond.emoji.requirements import Background, Count
from clipcond.emoji.world import GRID, PRESETS, SHIPPED, UNITS
from clipcond.errors import ClipcondError

MAX_THINGS = 9
_TRIES = 4000


def compose(text: str, seed: int = 0) -> emoji.Scene:
    """Place what a caption asks for: boxes drawn at random until all of it holds.

    Args:
        text: a caption of the emoji world, without weights.
        seed: another one is another arrangement.

    Raises:
        ClipcondError: a word is not of this world, or there is no room.
    """
    wanted = emoji.expected(text)
    things = [
        (count.group.sprite, PRESETS[SHIPPED].sizes[count.group.size or "normal"])
        for count in wanted
        if isinstance(count, Count)
        for _ in range(count.group.count)
    ]
    if len(things) > MAX_THINGS:
        raise ClipcondError(f"{text!r} asks for {len(things)} things; at most {MAX_THINGS} fit")
    rng = np.random.default_rng(seed)
    named = [item.name for item in wanted if isinstance(item, Background)]
    background = named[0] if named else str(rng.choice(PRESETS[SHIPPED].backgrounds))
    for _ in range(_TRIES):
        items = _place(rng, things)
        if items:
            shown = emoji.Reading(background, items, doubtful=(), left=0.0)
            if all(wish.holds(shown) for wish in wanted):
                return emoji.Scene(background, items)
    raise ClipcondError(f"{text!r} found no room: ask for fewer or smaller things")


def read_back(picture: Image.Image, text: str) -> tuple[emoji.Reading, emoji.Verdict]:
    """What the oracle sees in a picture, and whether that is what the caption says.

    Raises:
        ClipcondError: a caption of another world.
    """
    return emoji.read(picture), emoji.check(picture, emoji.expected(text))


def _place(
    rng: np.random.Generator, things: list[tuple[str, int]]
) -> tuple[emoji.Item, ...] | None:
    """Boxes on the grid, a unit apart at least; None where one found no place."""
    placed: list[emoji.Item] = []
    for sprite, size in things:
        edges = range(0, UNITS - size + 1, GRID)
        boxes = [emoji.Item(sprite, x, y, size) for x in edges for y in edges]
        free = [box for box in boxes if not any(_touch(box, other) for other in placed)]
        if not free:
            return None
        placed.append(free[int(rng.integers(len(free)))])
    return tuple(placed)


def _touch(a: emoji.Item, b: emoji.Item) -> bool:
    return (
        a.x <= b.x + b.size and b.x <= a.x + a.size and a.y <= b.y + b.size and b.y <= a.y + a.size
    )
