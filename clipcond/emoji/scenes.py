"""Scenes: what is where, how to sample them, and which combinations are held out of training."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from clipcond.emoji.world import BACKGROUNDS, PRESETS, SIZES, UNITS, Preset

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


def sample(seed: int, preset: str = "small", *, held_out: bool = False) -> Scene:
    """Draw the scene of a seed: from the training combinations, or only from the held-out ones."""
    rng = np.random.default_rng(seed)
    while True:
        scene = draw(rng, PRESETS[preset])
        if is_held_out(scene) == held_out:
            return scene


def draw(rng: np.random.Generator, preset: Preset, kind: str | None = None) -> Scene:
    """One scene of a kind (`single`, `count`, `pair`), whether or not it is held out."""
    kind = kind or rng.choice(["single", "count", "pair"], p=[0.22, 0.23, 0.55])
    background = str(rng.choice(list(BACKGROUNDS)))
    names = [str(name) for name in rng.choice(preset.sprites, 2, replace=False)]
    match kind:
        case "single":
            size = SIZES[str(rng.choice(list(SIZES), p=[0.25, 0.45, 0.3]))]
            at = np.clip((UNITS - size) // 2 + rng.integers(-5, 6, 2), 0, UNITS - size)
            items = (Item(names[0], int(at[0]), int(at[1]), size),)
        case "count":
            size = SIZES["small" if rng.random() < 0.25 else "normal"]
            count = int(rng.integers(2, preset.max_objects + 1))
            sizes = [size] * count
            items = (
                place_pair(rng, names[:1] * 2, sizes)
                if count == 2
                else place_grid(rng, names[0], sizes)
            )
        case _:
            items = place_pair(rng, names, pair_sizes(rng))
    return Scene(background, items)


def pair_sizes(rng: np.random.Generator) -> list[int]:
    """Sizes of two different objects: mostly normal, and never both large (they would not fit)."""
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
    """Two boxes side by side or one above the other, at least one unit apart."""
    first, second = sizes
    gap = int(rng.integers(1, UNITS - first - second + 1))
    start = int(rng.integers(0, UNITS - first - second - gap + 1))
    along = (start, start + first + gap)
    middle = (UNITS - max(sizes)) / 2 + max(sizes) / 2 + rng.integers(-4, 5)
    # The centres differ by less across than half of what they differ along, so that the relation is plain.
    spread = int(min(3, (gap + (first + second) / 2) / 2 - 1))
    across = [
        int(
            np.clip(
                round(middle - size / 2) + rng.integers(-spread, spread + 1) // 2, 0, UNITS - size
            )
        )
        for size in sizes
    ]
    boxes = list(zip(along, across, sizes, strict=True))
    if rng.random() < 0.5:
        boxes = [(y, x, size) for x, y, size in boxes]
    items = [Item(name, x, y, size) for name, (x, y, size) in zip(names, boxes, strict=True)]
    return tuple(items)


def place_grid(rng: np.random.Generator, name: str, sizes: list[int]) -> tuple[Item, ...]:
    """Three or four equal boxes, jittered in the cells of a 2 x 2 grid, at least one unit apart."""
    half = UNITS // 2
    cells = sorted(int(cell) for cell in rng.choice(4, len(sizes), replace=False))
    items = []
    for cell, size in zip(cells, sizes, strict=True):
        column, row = cell % 2, cell // 2
        room = half - size
        dx, dy = (int(v) for v in rng.integers(0, room, 2))  # leaves a unit free on the inner side
        x = dx if column == 0 else half + room - dx
        y = dy if row == 0 else half + room - dy
        items.append(Item(name, x, y, size))
    return tuple(items)
