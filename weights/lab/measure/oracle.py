"""How strict the oracle is: true scenes read back, near misses refused. Writes JSON for the card.

python -m weights.lab.measure.oracle [--preset full] [--count 2000] [--json FILE]
"""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from clipcond.emoji import check, expected, read, render, sample
from clipcond.emoji.misses import MISSES
from clipcond.emoji.render import render_array, sprite
from clipcond.emoji.scenes import Item, Scene
from clipcond.emoji.world import PRESETS, SHIPPED, UNITS
from weights.lab import reports

FIRST_SEED = (
    3 << 59
)  # far from every training stream, and from the scenes that its limits were chosen on
Damage = Callable[[Image.Image, np.random.Generator], Image.Image]


def jpeg(image: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """JPEG at quality 75 and back."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gaussian noise of 8 levels."""
    array = np.asarray(image, np.float32)
    return Image.fromarray((array + rng.normal(0, 8, array.shape)).clip(0, 255).astype(np.uint8))


def blur(image: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """Gaussian blur of half a pixel."""
    return image.filter(ImageFilter.GaussianBlur(0.5))


DAMAGES: dict[str, Damage] = {
    "clean": lambda image, _: image,
    "jpeg 75": jpeg,
    "noise 8": noise,
    "blur 0.5": blur,
}


def blob(scene: Scene, rng: np.random.Generator, preset: str) -> np.ndarray:
    """The scene with one sprite replaced by a round blob of its mean colour."""
    chosen = _any_item(scene, rng)
    picture = _drawn(_without(scene, chosen), preset).astype(np.float32)
    rows, columns = _box(chosen, preset)
    color, alpha = sprite(chosen.sprite, rows.stop - rows.start)
    mean = color.sum((0, 1)) / alpha.sum()
    axis = (np.arange(len(color)) + 0.5) / len(color) * 2 - 1
    soft = np.exp(-1.5 * (axis[:, None] ** 2 + axis[None] ** 2))[..., None]
    picture[rows, columns] = soft * mean + (1 - soft) * picture[rows, columns]
    return picture.astype(np.uint8)


def smear(scene: Scene, _rng: np.random.Generator, preset: str) -> np.ndarray:
    """The whole scene, blurred by two units."""
    size = PRESETS[preset].size
    return np.asarray(render(scene, size).filter(ImageFilter.GaussianBlur(2 * size / UNITS)))


def chimera(scene: Scene, rng: np.random.Generator, preset: str) -> np.ndarray:
    """The scene with the right half of one sprite from another one."""
    chosen = _any_item(scene, rng)
    other = _other_sprite(scene, rng, preset)
    picture = _drawn(scene, preset)
    items = tuple(replace(i, sprite=other) if i is chosen else i for i in scene.items)
    swapped = _drawn(replace(scene, items=items), preset)
    rows, columns = _box(chosen, preset)
    right = slice((columns.start + columns.stop) // 2, columns.stop)
    picture[rows, right] = swapped[rows, right]
    return picture


def torn(scene: Scene, rng: np.random.Generator, preset: str) -> np.ndarray:
    """The scene with the lower half of one sprite gone."""
    chosen = _any_item(scene, rng)
    picture, bare = _drawn(scene, preset), _drawn(_without(scene, chosen), preset)
    rows, columns = _box(chosen, preset)
    lower = slice((rows.start + rows.stop) // 2, rows.stop)
    picture[lower, columns] = bare[lower, columns]
    return picture


SPOILS: dict[str, Callable[[Scene, np.random.Generator, str], np.ndarray]] = {
    "blob": blob,
    "smear": smear,
    "chimera": chimera,
    "torn": torn,
}


def _drawn(scene: Scene, preset: str) -> np.ndarray:
    return render_array(scene, PRESETS[preset].size)


def _box(item: Item, preset: str) -> tuple[slice, slice]:
    """Rows and columns of an item's box."""
    scale = PRESETS[preset].size // UNITS
    return tuple(slice(scale * start, scale * (start + item.size)) for start in (item.y, item.x))


def _any_item(scene: Scene, rng: np.random.Generator) -> Item:
    return scene.items[int(rng.integers(len(scene.items)))]


def _other_sprite(scene: Scene, rng: np.random.Generator, preset: str) -> str:
    taken = {item.sprite for item in scene.items}
    return str(rng.choice([name for name in PRESETS[preset].sprites if name not in taken]))


def _without(scene: Scene, item: object) -> Scene:
    return Scene(scene.background, tuple(other for other in scene.items if other is not item))


def accepts(count: int, damage: Damage, preset: str = SHIPPED) -> float:
    """Share of scenes that are read back exactly: background, sprites, sizes, places and nothing else."""
    right = 0
    for seed in tqdm(range(count), desc="true scenes", leave=False):
        scene = sample(FIRST_SEED + seed, preset)
        drawn = render(scene, PRESETS[preset].size)
        reading = read(damage(drawn, np.random.default_rng(seed)), preset)
        same = sorted(map(str, reading.items)) == sorted(map(str, scene.items))
        right += (
            same
            and reading.background == scene.background
            and not reading.doubtful
            and reading.clean
        )
    return right / count


def spoilt(scene: Scene, kind: str, rng: np.random.Generator, preset: str) -> np.ndarray | None:
    """A picture that nearly shows the scene; None where this kind of miss does not apply to it."""
    if kind in SPOILS:
        return SPOILS[kind](scene, rng, preset)
    missed = MISSES[kind](scene, rng, PRESETS[preset])
    return None if missed is None else _drawn(missed, preset)


def false_accepts(count: int, preset: str) -> dict[str, tuple[int, int]]:
    """Near misses, every kind as often as it applies, that pass for the scene: {kind: (accepted, tried)}."""
    kinds = [*SPOILS, *MISSES]
    tried, accepted = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for seed in tqdm(range(count), desc="near misses", leave=False):
        scene, rng = sample(FIRST_SEED + seed, preset), np.random.default_rng(seed)
        for kind in sorted(kinds, key=lambda kind: tried[kind]):
            image = spoilt(scene, kind, rng, preset)
            if image is not None:
                break
        tried[kind] += 1
        accepted[kind] += bool(check(image, expected(scene), preset))
    return {kind: (accepted[kind], tried[kind]) for kind in kinds}


def main() -> None:
    """Measure and print."""
    parser = reports.parser(__doc__, "preset", "json")
    parser.add_argument("--count", type=int, default=2000)
    args = parser.parse_args()
    misses = false_accepts(args.count, args.preset)
    report = {
        "count": args.count,
        "pixels": PRESETS[args.preset].size,
        "sprites": len(PRESETS[args.preset].looked_for),
        "backgrounds": len(PRESETS[args.preset].backgrounds),
        "read_back": {
            name: accepts(args.count, damage, args.preset) for name, damage in DAMAGES.items()
        },
        "false_accepts": {kind: {"accepted": a, "tried": n} for kind, (a, n) in misses.items()},
        "false_accept_rate": sum(a for a, _ in misses.values()) / args.count,
    }
    reports.write(report, args.json)


if __name__ == "__main__":
    main()
