"""Near misses: scenes that differ from a given one in a single, named way.

They are what the oracle must refuse and what a contrastive batch learns most from.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from clipcond.emoji.scenes import Item, Scene
from clipcond.emoji.world import GRID, PRESETS, SHIPPED, UNITS, Preset, color_and_noun

Rng = np.random.Generator


def _other(options: tuple[str, ...], taken: set[str], rng: Rng) -> str:
    return str(rng.choice([option for option in options if option not in taken]))


def other_background(scene: Scene, rng: Rng, preset: Preset) -> Scene:
    """The same things on another background."""
    return replace(scene, background=_other(preset.backgrounds, {str(scene.background)}, rng))


def other_sprite(scene: Scene, rng: Rng, preset: Preset) -> Scene:
    """Another sprite in place of one kind."""
    old = str(rng.choice([item.sprite for item in scene.items]))
    new = _other(preset.sprites, {item.sprite for item in scene.items} | {str(scene.absent)}, rng)
    return replace(scene, items=_renamed(scene, {old: new}))


def other_color(scene: Scene, rng: Rng, preset: Preset) -> Scene | None:
    """One coloured shape in another colour."""
    colored = [item.sprite for item in scene.items if color_and_noun(item.sprite)[0]]
    if not colored:
        return None
    old = str(rng.choice(colored))
    color, shape = color_and_noun(old)
    new = f"{_other(preset.colors, {str(color)}, rng)} {shape}"
    return (
        None
        if new in {item.sprite for item in scene.items} | {scene.absent}
        else replace(scene, items=_renamed(scene, {old: new}))
    )


def swapped_colors(scene: Scene, rng: Rng, _preset: Preset) -> Scene | None:
    """`a red heart and a blue square` as a blue heart and a red square."""
    kinds = dict.fromkeys(item.sprite for item in scene.items)
    colored = [kind for kind in kinds if color_and_noun(kind)[0]]
    if len(colored) < 2:
        return None
    if len(colored) > 2:
        colored = [str(kind) for kind in rng.choice(colored, 2, replace=False)]
    (color, shape), (other, second) = (color_and_noun(kind) for kind in colored)
    new = f"{other} {shape}", f"{color} {second}"
    if color == other or shape == second or {*new} & {*kinds, scene.absent}:
        return None
    return replace(scene, items=_renamed(scene, dict(zip(colored, new, strict=True))))


def mirrored(scene: Scene, _rng: Rng, _preset: Preset) -> Scene | None:
    """The opposite relation: the picture turned by half a turn, each sprite upright."""
    if scene.relation is None:
        return None
    turned = [
        replace(item, x=UNITS - item.x - item.size, y=UNITS - item.y - item.size)
        for item in scene.items
    ]
    return replace(scene, items=tuple(turned))


def quarter_turned(scene: Scene, rng: Rng, _preset: Preset) -> Scene | None:
    """A relation on the other axis: the picture turned by a quarter, either way, each sprite upright.

    Both ways are needed: a model that has only to tell left of from above takes left of for below.
    """
    if scene.relation is None:
        return None
    clockwise = rng.random() < 0.5
    turned = [
        replace(item, x=UNITS - item.y - item.size, y=item.x)
        if clockwise
        else replace(item, x=item.y, y=UNITS - item.x - item.size)
        for item in scene.items
    ]
    return replace(scene, items=tuple(turned))


def one_less(scene: Scene, _rng: Rng, _preset: Preset) -> Scene | None:
    """A count off by one, downwards."""
    return replace(scene, items=scene.items[:-1]) if len(scene.items) > 1 else None


def one_more(scene: Scene, rng: Rng, preset: Preset) -> Scene | None:
    """A count off by one, upwards, where a free place is left."""
    if len(scene.items) == preset.max_objects:
        return None
    model = scene.items[-1]
    place = _free_place(scene, model.size, rng, step=2)
    if place is None:
        return None
    x, y = place
    return replace(scene, items=(*scene.items, replace(model, x=x, y=y)))


def other_size(scene: Scene, rng: Rng, preset: Preset) -> Scene | None:
    """One thing, the only one of its kind, in another size about the same centre, where the others leave the room."""
    index = int(rng.integers(len(scene.items)))
    item, others = scene.items[index], scene.items[:index] + scene.items[index + 1 :]
    if item.sprite in {other.sprite for other in others}:
        return None
    side = int(rng.choice([size for size in preset.sizes.values() if size != item.size]))
    shift = (item.size - side) // 2
    x, y = (int(np.clip(v + shift, 0, UNITS - side)) for v in (item.x, item.y))
    if any(overlaps(other, x, y, side) for other in others):
        return None
    resized = replace(item, x=x, y=y, size=side)
    return replace(scene, items=(*scene.items[:index], resized, *scene.items[index + 1 :]))


def swapped_sizes(scene: Scene, rng: Rng, preset: Preset) -> Scene | None:
    """`a large fox and a small pig` as a small fox and a large pig, where they were from each other."""
    if scene.relation is None or scene.items[0].size == scene.items[1].size:
        return None
    first, second = scene.items
    exchanged = (replace(second, sprite=first.sprite), replace(first, sprite=second.sprite))
    return mirrored(replace(scene, items=exchanged), rng, preset)


def swapped_places(scene: Scene, rng: Rng, _preset: Preset) -> Scene | None:
    """Of three or four different things two in each other's place."""
    if len(scene.groups) < 3 or len(scene.groups) != len(scene.items):
        return None
    i, j = (int(v) for v in rng.choice(len(scene.items), 2, replace=False))
    items = list(scene.items)
    if items[i].size != items[j].size:
        return None
    items[i], items[j] = (replace(items[a], sprite=items[b].sprite) for a, b in ((i, j), (j, i)))
    return replace(scene, items=tuple(items))


def swapped_counts(scene: Scene, _rng: Rng, _preset: Preset) -> Scene | None:
    """`three foxes and a car` as a fox and three cars."""
    counts = Counter(item.sprite for item in scene.items)
    if len(counts) != 2 or len({*counts.values()}) == 1:
        return None
    one, other = counts
    return replace(scene, items=_renamed(scene, {one: other, other: one}))


def denied(scene: Scene, rng: Rng, preset: Preset) -> Scene | None:
    """What the caption says is not there, there."""
    if scene.absent is None:
        return None
    size = preset.sizes["normal"]
    place = _free_place(scene, size, rng, step=GRID)
    if place is None:
        return None
    return Scene(scene.background, (*scene.items, Item(scene.absent, *place, size)))


MISSES: dict[str, Callable[[Scene, Rng, Preset], Scene | None]] = {
    "other background": other_background,
    "other sprite": other_sprite,
    "other color": other_color,
    "swapped colors": swapped_colors,
    "mirrored": mirrored,
    "quarter turned": quarter_turned,
    "one less": one_less,
    "one more": one_more,
    "other size": other_size,
    "swapped sizes": swapped_sizes,
    "swapped places": swapped_places,
    "swapped counts": swapped_counts,
    "denied": denied,
}
# how often each is tried: swaps and mirrors come first where they apply
_WEIGHTS = (1, 1, 1, 8, 8, 8, 1, 1, 4, 16, 16, 8, 32)
_OF_TWO = 10  # as many are of one and two kinds of things alone


def misses_of(preset: Preset) -> list[str]:
    """The names of those that apply to a preset's scenes."""
    return list(MISSES) if "several" in preset.kinds else list(MISSES)[:_OF_TWO]


def near_miss(scene: Scene, rng: Rng, preset: str = SHIPPED) -> tuple[str, Scene]:
    """A random near miss of a scene and its name; swaps and mirrors come first where they apply."""
    names = misses_of(PRESETS[preset])
    weights = np.array(_WEIGHTS[: len(names)])
    for i in rng.choice(len(names), len(names), replace=False, p=weights / weights.sum()):
        missed = MISSES[names[i]](scene, rng, PRESETS[preset])
        if missed is not None:
            return names[i], missed
    raise AssertionError("other_background always applies")


def _free_place(scene: Scene, size: int, rng: Rng, *, step: int) -> tuple[int, int] | None:
    """Where a box of a size touches nothing."""
    free = [
        (x, y)
        for x in range(0, UNITS - size + 1, step)
        for y in range(0, UNITS - size + 1, step)
        if not any(overlaps(item, x, y, size) for item in scene.items)
    ]
    return free[int(rng.integers(len(free)))] if free else None


def overlaps(item: Item, x: int, y: int, size: int) -> bool:
    """Whether a box of `size` at (x, y) comes within a unit of an item."""
    return abs(2 * (item.x - x) + item.size - size) < item.size + size + 2 and (
        abs(2 * (item.y - y) + item.size - size) < item.size + size + 2
    )


def _renamed(scene: Scene, names: dict[str, str]) -> tuple[Item, ...]:
    return tuple(replace(item, sprite=names.get(item.sprite, item.sprite)) for item in scene.items)
