"""Scenes: reproducible, inside the picture, apart from each other, and never a held-out one in training."""

import math
from itertools import combinations, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond import emoji
from clipcond.emoji.misses import near_miss, overlaps
from clipcond.emoji.oracle import MAX_BACKGROUND_ERROR
from clipcond.emoji.scenes import combination, is_held_out
from clipcond.emoji.world import BACKGROUNDS, COLORS, NOUNS, PRESETS, SHAPES, SIZES, SPRITES, UNITS
from weights.lab.train import data

SEEDS = st.integers(0, 2**62)


def test_the_world_is_as_large_as_promised() -> None:
    assert len(NOUNS) >= 200
    assert set(SHAPES) == {"heart", "circle", "square"}
    assert len(COLORS) == 8
    assert all(set(row) == set(COLORS) for row in SHAPES.values())
    assert len(BACKGROUNDS) >= 12
    assert set(SIZES) == {"small", "normal", "large"}
    assert len(SPRITES) == len(NOUNS) + 24
    assert len(set(SPRITES.values())) == len(SPRITES)
    assert len(PRESETS["small"].sprites) == 38
    assert len(PRESETS["small"].backgrounds) == 7
    assert len(PRESETS["medium"].nouns) == 60
    assert len(set(PRESETS["medium"].sprites)) == 78
    assert set(PRESETS["medium"].sprites) < set(PRESETS["medium"].looked_for)
    assert PRESETS["full"].sprites == (*NOUNS, *list(SPRITES)[40:64])


def test_no_two_backgrounds_are_within_what_the_oracle_takes_for_one() -> None:
    for one, other in combinations(BACKGROUNDS.values(), 2):
        assert math.dist(one, other) > 2 * MAX_BACKGROUND_ERROR


@pytest.mark.parametrize("preset", ["medium", "full"])
def test_larger_worlds_have_up_to_four_different_sprites_and_five_alike(preset: str) -> None:
    scenes = [emoji.sample(seed, preset) for seed in range(600)]
    assert {len(scene.groups) for scene in scenes} == {1, 2, 3, 4}
    assert {scene.background for scene in scenes} == set(PRESETS[preset].backgrounds)
    assert {tuple(g.count for g in s.groups) for s in scenes} >= {(5,), (2, 1), (3, 1), (2, 2)}
    assert 0.03 < np.mean([scene.absent is not None for scene in scenes]) < 0.12
    assert not any(scene.absent in {item.sprite for item in scene.items} for scene in scenes)


@given(SEEDS, st.sampled_from(sorted(PRESETS)))
def test_a_seed_is_one_scene_inside_the_picture(seed: int, preset: str) -> None:
    scene = emoji.sample(seed, preset)
    assert scene == emoji.sample(seed, preset)
    assert 1 <= len(scene.items) <= PRESETS[preset].max_objects
    for item in scene.items:
        assert item.sprite in PRESETS[preset].sprites
        assert min(item.x, item.y) >= 0
        assert max(item.x, item.y) + item.size <= UNITS
    for one, other in combinations(scene.items, 2):
        assert not overlaps(one, other.x, other.y, other.size)


@given(SEEDS, st.sampled_from(sorted(PRESETS)))
def test_training_and_held_out_scenes_never_share_a_combination(seed: int, preset: str) -> None:
    assert not is_held_out(emoji.sample(seed, preset))
    assert is_held_out(emoji.sample(seed, preset, held_out=True))


def test_the_training_stream_never_gives_a_held_out_combination() -> None:
    stream = data.with_near_misses(data.scenes("small", 3), "small", np.random.default_rng(0))
    seen = {combination(scene) for scene in islice(stream, 4000)}
    held_out = {combination(emoji.sample(seed, held_out=True)) for seed in range(2000)}
    assert len(seen) > 500
    assert len(held_out) > 100
    assert not seen & held_out


def test_a_fifth_of_the_combinations_is_held_out() -> None:
    rng = np.random.default_rng(0)
    found = [is_held_out(emoji.scenes.draw(rng, PRESETS["small"])) for _ in range(3000)]
    assert 0.15 < np.mean(found) < 0.25


@given(SEEDS, st.sampled_from(sorted(PRESETS)))
def test_a_near_miss_asks_for_something_else(seed: int, preset: str) -> None:
    scene = emoji.sample(seed, preset)
    name, missed = near_miss(scene, np.random.default_rng(seed), preset)
    assert set(map(str, emoji.expected(missed))) != set(map(str, emoji.expected(scene))), name


@pytest.mark.parametrize(
    ("a", "b", "relation"),
    [
        ((0, 10), (16, 10), "left of"),
        ((16, 12), (0, 10), "right of"),
        ((9, 0), (10, 16), "above"),
        ((10, 17), (10, 2), "below"),
        ((0, 0), (16, 16), None),
    ],
)
def test_relation(a: tuple[int, int], b: tuple[int, int], relation: str | None) -> None:
    items = (emoji.Item("fox", *a, 13), emoji.Item("cat", *b, 13))
    assert emoji.Scene("white", items).relation == relation
