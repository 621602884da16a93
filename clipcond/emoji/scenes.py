"""Scenes: what is where, how to sample them, and which combinations are held out of training."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from clipcond.emoji.world import GRID, PRESETS, SHIPPED, UNITS, Preset

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
SIZE_NAMES = {units: name for preset in PRESETS.values() for name, units in preset.sizes.items()}
_OFF_CENTRE = (
    4  # units from both middle lines, from which on a thing stands in a quarter of the picture
)
_HELD_OUT_SHARE = 5  # one combination in five
_QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Item:
    """One sprite with its box: left and top edge, and side, in units of 1/32 of the picture."""

    sprite: str
    x: int
    y: int
    size: int


@dataclass(frozen=True, slots=True)
class Group:
    """`count` equal sprites of one size name (`None`: of any size)."""

    sprite: str
    count: int = 1
    size: str | None = "normal"


@dataclass(frozen=True, slots=True)
class Scene:
    """A background (a name, or an RGB triple that has none) and what stands on it.

    Attributes:
        absent: a sprite of which its caption says that it is not there.
    """

    background: str | tuple[int, int, int]
    items: tuple[Item, ...]
    absent: str | None = None

    @property
    def groups(self) -> tuple[Group, ...]:
        """Equal sprites counted, in order of appearance."""
        counts = Counter((item.sprite, SIZE_NAMES.get(item.size)) for item in self.items)
        return tuple(Group(sprite, count, size) for (sprite, size), count in counts.items())

    @property
    def relation(self) -> str | None:
        """How the first of two single objects stands to the second; None where neither axis clearly wins."""
        if len(self.items) != 2 or self.items[0].sprite == self.items[1].sprite:
            return None
        return relation(self.items[0], self.items[1])

    def only(self, sprite: str) -> Item | None:
        """The item of a sprite of which there is one."""
        found = [item for item in self.items if item.sprite == sprite]
        return found[0] if len(found) == 1 else None

    @property
    def relations(self) -> tuple[tuple[str, str, str], ...]:
        """(sprite, how it stands, to which one) of every two lone things where one axis clearly wins."""
        lone = [item for item in self.items if self.only(item.sprite)]
        found = ((a.sprite, relation(a, b), b.sprite) for a, b in permutations(lone, 2))
        return tuple((a, kind, b) for a, kind, b in found if kind)


def relation(a: Item, b: Item) -> str | None:
    """`left of`, `right of`, `above` or `below`: by the centres, where one axis is at least twice the other."""
    dx = (a.x + a.size / 2) - (b.x + b.size / 2)
    dy = (a.y + a.size / 2) - (b.y + b.size / 2)
    if abs(dx) >= 2 * abs(dy) and dx:
        return "left of" if dx < 0 else "right of"
    if abs(dy) >= 2 * abs(dx) and dy:
        return "above" if dy < 0 else "below"
    return None


def place(item: Item) -> str | None:
    """The quarter in which an item's centre stands, as `upper left`; None near a middle line."""
    across, down = (2 * v + item.size - UNITS for v in (item.x, item.y))  # from the middle, doubled
    if min(abs(across), abs(down)) < 2 * _OFF_CENTRE:
        return None
    return f"{'upper' if down < 0 else 'lower'} {'left' if across < 0 else 'right'}"


def combination(scene: Scene) -> str:
    """What is held out together: the pair of sprites; sprite and count; or, alone, sprite, size and background."""
    groups = scene.groups
    if len(groups) == 1 and groups[0].count == 1:
        return f"{groups[0].sprite}, {groups[0].size}, {scene.background}"
    return " + ".join(sorted(f"{group.count} {group.sprite}" for group in groups))


def is_held_out(scene: Scene) -> bool:
    """Whether a scene's combination is kept for evaluation; by hash, so nobody chose which."""
    return hashlib.sha256(combination(scene).encode()).digest()[0] % _HELD_OUT_SHARE == 0


def sample(seed: int, preset: str = SHIPPED, *, held_out: bool = False) -> Scene:
    """Draw the scene of a seed: from the training combinations, or only from the held-out ones."""
    rng = np.random.default_rng(seed)
    while True:
        scene = draw(rng, PRESETS[preset])
        if is_held_out(scene) == held_out:
            return scene


def draw(rng: np.random.Generator, preset: Preset, kind: str | None = None) -> Scene:
    """One scene of a kind (`single`, `count`, `pair`, `mixed`, `several`), whether or not it is held out."""
    kind = kind or str(rng.choice(list(preset.kinds), p=list(preset.kinds.values())))
    background = preset.backgrounds[int(rng.choice(len(preset.backgrounds)))]
    items = _DRAWN[kind](rng, preset)
    absent = None
    if preset.denied and kind in ("single", "pair") and rng.random() < preset.denied:
        there = {item.sprite for item in items}
        absent = str(rng.choice([name for name in preset.sprites if name not in there]))
    return Scene(background, items, absent)


def _names(rng: np.random.Generator, preset: Preset, count: int) -> list[str]:
    # numbers, not names: numpy makes an array of those at each call, and whoever wants rare scenes draws thousands
    return [preset.sprites[i] for i in rng.choice(len(preset.sprites), count, replace=False)]


def _single(rng: np.random.Generator, preset: Preset) -> tuple[Item, ...]:
    name, _ = _names(rng, preset, 2)
    size = preset.sizes[str(rng.choice(list(preset.sizes), p=[0.25, 0.45, 0.3]))]
    places = range(GRID, UNITS - GRID - size + 1, GRID)
    x, y = (int(v) for v in rng.choice(places, 2))
    return (Item(name, x, y, size),)


def _count(rng: np.random.Generator, preset: Preset) -> tuple[Item, ...]:
    name, _ = _names(rng, preset, 2)
    size = preset.sizes["small" if rng.random() < 0.25 else "normal"]
    count = int(rng.integers(2, preset.max_objects + 1))
    if count == 2:
        return place_pair(rng, [name] * 2, [size] * 2)
    if count > _QUARTERS:
        return place_cells(rng, [name] * count, preset.sizes["small"])
    return place_grid(rng, [name] * count, [size] * count)


def _pair(rng: np.random.Generator, preset: Preset) -> tuple[Item, ...]:
    return place_pair(rng, _names(rng, preset, 2), pair_sizes(rng, preset))


def _mixed(rng: np.random.Generator, preset: Preset) -> tuple[Item, ...]:
    """Two or three of one sprite and one of another, or two of each."""
    one, other = _names(rng, preset, 2)
    first, second = ((2, 1), (3, 1), (2, 2))[int(rng.integers(3))]
    sizes = [preset.sizes["small" if rng.random() < 0.25 else "normal"] for _ in range(2)]
    things = [(one, sizes[0])] * first + [(other, sizes[1])] * second
    things = [things[i] for i in rng.permutation(len(things))]
    return place_grid(rng, [name for name, _ in things], [size for _, size in things])


def _several(rng: np.random.Generator, preset: Preset) -> tuple[Item, ...]:
    """Three or four different sprites."""
    count = int(rng.integers(3, _QUARTERS + 1))
    some_small = rng.random() < 0.5
    small = [some_small and rng.random() < 0.4 for _ in range(count)]
    sizes = [preset.sizes["small" if own else "normal"] for own in small]
    return place_grid(rng, _names(rng, preset, count), sizes)


_DRAWN = {"single": _single, "count": _count, "pair": _pair, "mixed": _mixed, "several": _several}


def pair_sizes(rng: np.random.Generator, preset: Preset) -> list[int]:
    """Sizes of two different objects: mostly normal, and never both large (they would touch)."""
    kinds = [
        ("normal", "normal"),
        ("small", "normal"),
        ("normal", "large"),
        ("small", "large"),
        ("small", "small"),
    ]
    chosen = kinds[int(rng.choice(len(kinds), p=[0.6, 0.12, 0.12, 0.08, 0.08]))]
    return [preset.sizes[chosen[i]] for i in rng.permutation(2)]


def place_pair(rng: np.random.Generator, names: list[str], sizes: list[int]) -> tuple[Item, ...]:
    """Two boxes side by side or one above the other, apart, the relation plain."""
    first, second = sizes
    along = [
        (start, end)
        for start in range(0, UNITS, GRID)
        for end in range(start + first + 1, UNITS - second + 1)
        if end % GRID == 0
    ]
    ends = along[int(rng.integers(len(along)))]
    middle = int(rng.choice(range(GRID, UNITS - GRID - max(sizes) + 1, GRID)))
    across = (middle, middle + GRID * int(rng.random() < 0.25))
    boxes = list(zip(ends, rng.permutation(across), sizes, strict=True))
    if rng.random() < 0.5:
        boxes = [(y, x, size) for x, y, size in boxes]
    return tuple(
        Item(name, int(x), int(y), size) for name, (x, y, size) in zip(names, boxes, strict=True)
    )


def place_grid(rng: np.random.Generator, names: list[str], sizes: list[int]) -> tuple[Item, ...]:
    """Three or four boxes, none large, each somewhere in its quarter of the picture, apart."""
    half = UNITS // 2
    quarters = sorted(int(quarter) for quarter in rng.choice(_QUARTERS, len(names), replace=False))
    items = []
    for quarter, name, size in zip(quarters, names, sizes, strict=True):
        row, column = divmod(quarter, 2)
        dx, dy = (int(v) for v in rng.choice(range(0, half - size + 1, GRID), 2))
        # the left and upper ones keep to the outer edge, so that a unit at least stays free between two
        x, y = (
            (dx if column else min(dx, half - size - 1)),
            (dy if row else min(dy, half - size - 1)),
        )
        items.append(
            Item(name, half * column + x // GRID * GRID, half * row + y // GRID * GRID, size)
        )
    return tuple(items)


def place_cells(rng: np.random.Generator, names: list[str], size: int) -> tuple[Item, ...]:
    """Up to nine small boxes, each in one of three by three cells of the picture."""
    step = UNITS // 2 - GRID
    cells = sorted(int(cell) for cell in rng.choice(9, len(names), replace=False))
    return tuple(
        Item(name, step * (cell % 3), step * (cell // 3), size)
        for cell, name in zip(cells, names, strict=True)
    )
