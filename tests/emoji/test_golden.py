"""The `small` world never changes: the shipped model and every figure about it stand on these scenes and pictures."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pytest

from clipcond import emoji
from clipcond.emoji.captions import compose
from clipcond.emoji.misses import near_miss
from clipcond.emoji.world import PRESETS

SEEDS = range(200)
_SCENES = [emoji.sample(seed, held_out=bool(seed % 4 == 3)) for seed in SEEDS]


def digest(parts: Iterable[object]) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def captions() -> Iterable[str]:
    for seed, scene in zip(SEEDS, _SCENES, strict=True):
        flags = {"with_relation": bool(seed & 1), "with_background": bool(seed & 2)}
        yield compose(scene, np.random.default_rng(seed), **flags)


def told(scene: emoji.Scene) -> str:
    assert scene.absent is None
    return f"Scene(background={scene.background!r}, items={scene.items!r})"


def misses() -> Iterable[str]:
    for seed, scene in zip(SEEDS, _SCENES, strict=True):
        name, missed = near_miss(scene, np.random.default_rng(seed))
        yield f"({name!r}, {told(missed)})"


def pictures() -> Iterable[str]:
    for scene in _SCENES:
        yield hashlib.sha256(emoji.render_array(scene).tobytes()).hexdigest()


def readings() -> Iterable[list[str]]:
    for scene in _SCENES[:60]:
        yield sorted(map(str, emoji.read(emoji.render(scene)).items))


GOLDEN = {
    "sprites": (lambda: PRESETS["small"].sprites, "d211704407087b01"),
    "scenes": (lambda: map(told, _SCENES), "3d92e5bb7e62d405"),
    "captions": (captions, "333e7bed16502619"),
    "near misses": (misses, "89e6b54949914f8c"),
    "pictures": (pictures, "a51e1a9457e35bb9"),
    "readings": (readings, "8ca38f9beccf9a83"),
}


@pytest.mark.parametrize("name", list(GOLDEN))
def test_the_small_world_is_what_it_was(name: str) -> None:
    made, known = GOLDEN[name]
    assert digest(made()) == known
