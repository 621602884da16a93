"""Scenes: what is where, how to sample them, and which combinations are held out of training."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from clipcond.emoji.world import GRID, PRESETS, SHIPPED, SIZES, UNITS, Preset

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_SIZE_NAMES = {units: name for name, units in SIZES.items()}
_HELD_OUT_SHARE = 5  # one combination in five


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
    """A background (a name, or an RGB triple that has none) and what stands on it."""

    background: str | tuple[int, int, int]
    items: tuple[Item, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Equal sprites counted, in order of appearance."""
        counts = Counter((item.sprite, _SIZE_NAMES.get(item.size)) for item in self.items)
        return tuple(Group(sprite, count, size) for (sprite, size), count in counts.items())

    @property
    def relation(self) -> str | None:
        """How the first of two single objects stands to the second; None where neither axis clearly wins."""
        if len(self.items) != 2 or self.items[0].sprite == self.items[1].sprite:
            return None
        return relation(self.items[0], self.items[1])


def relation(a: Item, b: Item) -> str | None:
    """`left of`, `right of`, `above` or `below`: by the centres, where one axis is at least twice the other."""
    dx = (a.x + a.size / 2) - (b.x + b.size / 2)
    dy = (a.y + a.size / 2) - (b.y + b.size / 2)
    if abs(dx) >= 2 * abs(dy) and dx:
        return "left of" if dx < 0 else "right of"
    if abs(dy) >= 2 * abs(dx) and dy:
        return "above" if dy < 0 else "below"
    return None


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
    """One scene of a kind (`single`, `count`, `pair`, `several`), whether or not it is held out."""
    kind = kind or rng.choice(list(preset.kinds), p=list(preset.kinds.values()))
    background = str(rng.choice(preset.backgrounds))
    names = [str(name) for name in rng.choice(preset.sprites, 2, replace=False)]
    items: tuple[Item, ...]
    match kind:
        case "single":
            size = SIZES[str(rng.choice(list(SIZES), p=[0.25, 0.45, 0.3]))]
            places = range(GRID, UNITS - GRID - size + 1, GRID)
            x, y = (int(v) for v in rng.choice(places, 2))
            items = (Item(names[0], x, y, size),)
        case "count":
            size = SIZES["small" if rng.random() < 0.25 else "normal"]
            count = int(rng.integers(2, preset.max_objects + 1))
            if count == 2:
                items = place_pair(rng, names[:1] * 2, [size] * 2)
            else:
                items = place_grid(rng, names[:1] * count, size)
        case "several":
            count = int(rng.integers(3, preset.max_objects + 1))
            names = [str(name) for name in rng.choice(preset.sprites, count, replace=False)]
            items = place_grid(rng, names, SIZES["small" if rng.random() < 0.25 else "normal"])
        case _:
            items = place_pair(rng, names, pair_sizes(rng))
    return Scene(background, items)


def pair_sizes(rng: np.random.Generator) -> list[int]:
    """Sizes of two different objects: mostly normal, and never both large (they would touch)."""
    kinds = [
        ("normal", "normal"),
        ("small", "normal"),
        ("normal", "large"),
        ("small", "large"),
        ("small", "small"),
    ]
    chosen = kinds[int(rng.choice(len(kinds), p=[0.6, 0.12, 0.12, 0.08, 0.08]))]
    return [SIZES[name] for name in rng.permutation(chosen)]


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


def place_grid(rng: np.random.Generator, names: list[str], size: int) -> tuple[Item, ...]:
    """Three or four boxes of one size, each somewhere in its quarter of the picture, apart."""
    half = UNITS // 2
    quarters = sorted(int(quarter) for quarter in rng.choice(4, len(names), replace=False))
    items = []
    for quarter, name in zip(quarters, names, strict=True):
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
