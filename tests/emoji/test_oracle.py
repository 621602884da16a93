"""The oracle reads true scenes back and refuses what only resembles them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipcond import emoji
from clipcond.emoji.misses import MISSES, other_size, overlaps, swapped_sizes
from clipcond.emoji.scenes import draw
from clipcond.emoji.world import PRESETS
from clipcond.errors import ClipcondError
from weights.lab.measure import oracle

SEEDS = st.integers(0, 2**62)


@given(SEEDS)
def test_a_rendered_scene_is_read_back_exactly(seed: int) -> None:
    read_back_exactly(seed, "small")


@pytest.mark.parametrize("seed", range(8))
def test_a_scene_of_the_full_world_is_read_back_exactly(seed: int) -> None:
    read_back_exactly(seed, "full")


def read_back_exactly(seed: int, preset: str) -> None:
    scene = emoji.sample(seed, preset, held_out=bool(seed % 2))
    picture = emoji.render(scene, PRESETS[preset].size)
    reading = emoji.read(picture, preset)
    assert reading.background == scene.background
    assert sorted(map(str, reading.items)) == sorted(map(str, scene.items))
    assert not reading.doubtful
    assert reading.clean
    assert emoji.check(picture, emoji.expected(scene), preset)


@given(SEEDS, st.sampled_from(sorted(MISSES)))
def test_a_near_miss_is_refused(seed: int, kind: str) -> None:
    near_miss_is_refused(seed, kind, "small")


@pytest.mark.parametrize("kind", sorted(MISSES))
def test_a_near_miss_in_the_full_world_is_refused(kind: str) -> None:
    near_miss_is_refused(3, kind, "full")


def near_miss_is_refused(seed: int, kind: str, preset: str) -> None:
    scene = emoji.sample(seed, preset)
    missed = MISSES[kind](scene, np.random.default_rng(seed), PRESETS[preset])
    if missed is not None:
        picture = emoji.render(missed, PRESETS[preset].size)
        verdict = emoji.check(picture, emoji.expected(scene), preset)
        assert not verdict
        assert verdict.missed


@given(SEEDS)
def test_swapped_sizes_keep_everything_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = emoji.Scene("white", draw(rng, PRESETS["small"], "pair").items)
    missed = swapped_sizes(scene, rng, PRESETS["small"])
    sizes = [item.size for item in scene.items]
    assert (missed is None) == (sizes[0] == sizes[1])
    if missed is not None:
        assert [item.size for item in missed.items] == sizes[::-1]
        assert [item.sprite for item in missed.items] == [item.sprite for item in scene.items]
        assert missed.relation == scene.relation
        assert swapped_sizes(missed, rng, PRESETS["small"]) == scene


@given(SEEDS)
def test_another_size_is_of_one_thing_that_touches_no_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = emoji.sample(seed, "full")
    missed = other_size(scene, rng, PRESETS["full"])
    if missed is not None:
        changed = [i for i, item in enumerate(missed.items) if item != scene.items[i]]
        assert len(changed) == 1
        item = missed.items[changed[0]]
        assert item.size != scene.items[changed[0]].size
        others = [other for other in missed.items if other is not item]
        assert not any(overlaps(other, item.x, item.y, item.size) for other in others)
        assert item.sprite not in {other.sprite for other in others}


@pytest.mark.parametrize("kind", list(oracle.SPOILS))
def test_what_is_not_a_sprite_is_refused(kind: str) -> None:
    spoil = getattr(oracle, kind)
    scenes = [emoji.sample(seed) for seed in range(60)]
    spoilt = [spoil(scene, np.random.default_rng(i), "small") for i, scene in enumerate(scenes)]
    accepted = sum(
        bool(emoji.check(image, emoji.expected(s))) for image, s in zip(spoilt, scenes, strict=True)
    )
    assert accepted <= 1


@pytest.mark.parametrize("damage", list(oracle.DAMAGES))
def test_light_damage_is_forgiven(damage: str) -> None:
    assert oracle.accepts(200, oracle.DAMAGES[damage]) >= 0.95


@pytest.mark.slow
def test_the_full_world_is_read_through_damage_and_what_spoils_it_is_refused() -> None:
    for damage in oracle.DAMAGES.values():
        assert oracle.accepts(40, damage, "full") >= 0.95
    found = oracle.false_accepts(130, "full")
    assert sum(accepted for accepted, _ in found.values()) <= 2, found


def test_larger_pictures_read_the_same() -> None:
    for seed in range(20):
        scene = emoji.sample(seed)
        assert emoji.check(emoji.render(scene, 128), emoji.expected(scene)), scene


def test_an_empty_or_noisy_picture_shows_nothing() -> None:
    blank = Image.new("RGB", (32, 32), (255, 255, 255))
    assert emoji.read(blank).items == ()
    assert emoji.read(blank).background == "white"
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert not emoji.check(noise, emoji.expected("a fox"))


@pytest.mark.parametrize("size", [(32, 48), (16, 16)])
def test_a_picture_of_another_shape_is_an_error(size: tuple[int, int]) -> None:
    with pytest.raises(ClipcondError, match=f"{size[0]} x {size[1]}"):
        emoji.check(Image.new("RGB", size), emoji.expected("a fox"))


def test_a_verdict_names_what_is_missing() -> None:
    scene = emoji.Scene("pink", (emoji.Item("fox", 4, 8, 12), emoji.Item("red heart", 20, 8, 12)))
    verdict = emoji.check(
        emoji.render(scene), emoji.expected("a red heart left of a fox on a pink background")
    )
    assert [str(r) for r in verdict.missed] == ["red heart left of fox"]
    assert [passed for _, passed in verdict.items] == [True, True, True, False, True]


def _scene(*items: tuple[str, int, int, int], background: str = "pink") -> Image.Image:
    return emoji.render(emoji.Scene(background, tuple(emoji.Item(*item) for item in items)), 64)


FOX, HEART = ("fox", 4, 8, 12), ("red heart", 20, 8, 12)


@pytest.mark.parametrize(
    ("picture", "asked", "says"),
    [
        (_scene(HEART), "a fox", ("no fox found", "also 1 red heart")),
        (_scene(FOX), "three foxes", ("1 fox instead of 3",)),
        (_scene(FOX, ("fox", 20, 8, 12)), "a fox", ("2 foxes instead of 1",)),
        (_scene(("red heart", 0, 0, 12), ("red heart", 18, 0, 12)), "three red hearts", ("2 red hearts instead of 3",)),
        (_scene(FOX), "a fox on a mint background", ("the background is pink, not mint",)),
        (_scene(FOX), "a small fox", ("the fox is normal, not small",)),
        (_scene(FOX, ("fox", 20, 8, 12)), "two small foxes", ("not all foxes are small",)),
        (_scene(FOX, HEART), "a red heart left of a fox", ("the red heart is right of the fox, not left of it",)),
        (_scene(FOX, HEART), "a fox but no red heart", ("1 red heart instead of none", "also 1 red heart")),
        (_scene(FOX), "a fox at the bottom right", ("the fox is not plainly in the lower right",)),
        (_scene(("fox", 0, 0, 12)), "a fox at the bottom right", ("the fox is in the upper left, not in the lower right",)),
        (_scene(FOX), "a red heart at the top left and a fox", ("no red heart found", "no red heart in the upper left")),
        (_scene(FOX), "a red heart left of a fox", ("no red heart found", "no red heart left of a fox")),
    ],
)  # fmt: skip
def test_what_is_lacking_is_said_in_words(picture: Image.Image, asked: str, says: tuple[str, ...]) -> None:  # fmt: skip
    assert emoji.check(picture, emoji.expected(asked)).lacks == says


def test_what_is_no_sprite_is_said_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    *_, other = emoji.check(noise, emoji.expected("a fox on pink")).lacks
    assert other.startswith("also ")
